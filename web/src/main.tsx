import { render } from "solid-js/web";
import { start } from "./state.ts";
import { followSettings } from "./settings.ts";
import { startTheme } from "./ui/theme.ts";
import "./styles/tokens.css";
import "./styles/themes.css";
import "./styles/patterns.css";
import "./styles/page.css";
import "./styles/shell.css";
import "./styles/inbox.css";
import "./styles/run.css";
import "./styles/chart.css";
import "./styles/filter.css";
import "./styles/panel.css";
import "./styles/details.css";
import "./styles/logs.css";
import "./styles/export.css";

const root = document.getElementById("page")!;
followSettings();
startTheme();
start();
// What may be framed by other pages shows, and does nothing: it gets nothing of what acts, whatever
// becomes of its address.
if (location.pathname.startsWith("/embed/")) {
  void import("./routes/embed.tsx").then(({ EmbedPage }) => render(() => <EmbedPage />, root));
} else {
  void import("./start.tsx").then(({ startPage }) => startPage(root));
}
if (new URLSearchParams(location.search).has("debug")) void import("./debug.ts");
