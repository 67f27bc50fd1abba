// Names of files that are safe on any system, whatever a run is called. Pure.

const LONGEST = 60;

export function fileName(run: { id: string; name: string }, ending: string): string {
  const plain = (text: string) =>
    text
      .normalize("NFKD")
      .replace(/[^A-Za-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, LONGEST);
  return (
    [plain(run.id) || "run", plain(run.name).toLowerCase()]
      .filter((part) => part !== "")
      .join("-") + `.${ending}`
  );
}
