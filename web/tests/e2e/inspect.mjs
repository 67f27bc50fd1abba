// What hostile text must not have done to a page. Runs in the page; says what is wrong with it.

/** Notes what the page's security policy refuses, from its beginning on. */
export function noteViolations() {
  window.refused = [];
  addEventListener("securitypolicyviolation", (event) =>
    window.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`),
  );
}

export function inspect() {
  const found = [];
  const nameOf = (element) =>
    `${element.tagName.toLowerCase()}.${String(element.getAttribute("class")).split(" ").join(".")} in ${element.parentElement?.className} “${element.textContent.slice(0, 50)}”`;
  const say = (what, element) => found.push(`${what}: ${nameOf(element)}`);

  function madeOfText() {
    if (window.harm !== undefined) found.push("text was run as a script");
    if (window.refused.length > 0) found.push(`the policy refused ${window.refused.join(", ")}`);
    if ({}.harm !== undefined || Object.keys(Object.prototype).length > 0)
      found.push("a prototype was changed");
    for (const element of document.querySelectorAll(
      ".harm, iframe, object, embed, base, form[action], meta[http-equiv], img[src*='harm'], link[href*='harm']",
    ))
      say("made of text", element);
    for (const element of document.querySelectorAll("*")) {
      for (const { name, value } of element.attributes) {
        if (/^on/i.test(name)) say(`attribute ${name}`, element);
        if (
          /^(href|src|action|xlink:href)$/i.test(name) &&
          /^\s*(javascript|data|vbscript):/i.test(value)
        )
          say(`${name} leads to ${value.slice(0, 30)}`, element);
        if (name === "style" && /url\(|expression/i.test(value))
          say("a style with an address", element);
      }
    }
  }

  const isClipping = (element) => getComputedStyle(element).overflowX !== "visible";
  const isInline = (element) =>
    getComputedStyle(element).display === "inline" ||
    getComputedStyle(element).display === "contents";

  /** A blank at a line's end hangs over the edge of its box. */
  const BLANK_PX = 8;

  /** The box that holds a text, and whether something between it and the page cuts off what is too wide. */
  function holderOf(text) {
    let holder = text.parentElement;
    while (isInline(holder)) holder = holder.parentElement;
    return holder;
  }

  function tooWide() {
    const page = document.scrollingElement;
    if (page.scrollWidth > innerWidth) say(`the page is ${page.scrollWidth} px wide`, page);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      if (
        text.data.trim() === "" ||
        !text.parentElement.checkVisibility({ visibilityProperty: true, opacityProperty: true }) ||
        text.parentElement.closest("svg")
      )
        continue;
      const holder = holderOf(text);
      range.selectNodeContents(text);
      const { left, right, width } = range.getBoundingClientRect();
      if (width === 0) continue;
      const box = holder.getBoundingClientRect();
      let clip = holder;
      while (clip && !isClipping(clip)) clip = clip.parentElement;
      const room =
        clip && clip !== document.documentElement
          ? clip.getBoundingClientRect()
          : { left: 0, right: innerWidth };
      // What is wider than its own box lies over its neighbours, where it is not cut off or scrolled.
      if (clip !== holder && right > box.right + BLANK_PX && box.right < room.right - 2)
        say(`text spills out of its box by ${Math.round(right - box.right)} px`, holder);
      if (!clip && (right > innerWidth + 1 || left < -1))
        say("text is outside of the page", holder);
      mixesDirections(text, holder);
    }
  }

  const TURNS = /[\u0590-\u08ff\u202a-\u202e\u2066-\u2069]/;

  /** Text that turns the direction must not turn that of other texts: each in a paragraph of its own. */
  function mixesDirections(text, holder) {
    if (!TURNS.test(text.data)) return;
    let alone = text.parentElement;
    while (alone !== holder && !/isolate|plaintext/.test(getComputedStyle(alone).unicodeBidi))
      alone = alone.parentElement;
    const walker = document.createTreeWalker(alone, NodeFilter.SHOW_TEXT);
    for (let other = walker.nextNode(); other; other = walker.nextNode()) {
      if (other === text || other.data.trim() === "" || isApart(other, alone)) continue;
      say(
        `text that turns the direction stands beside “${other.data.slice(0, 30)}”`,
        text.parentElement,
      );
      return;
    }
  }

  /** Whether a text is in a box or an isolate of its own within an element. */
  function isApart(text, within) {
    for (let element = text.parentElement; element !== within; element = element.parentElement) {
      if (!isInline(element) || /isolate|plaintext/.test(getComputedStyle(element).unicodeBidi))
        return true;
    }
    return false;
  }

  /** Rows that are placed by number are all of one height. */
  function uneven() {
    for (const tree of document.querySelectorAll("[role=tree], [role=treegrid]")) {
      const rows = [...tree.querySelectorAll("[role=treeitem], [role=row][aria-rowindex]")].filter(
        (row) => row.offsetHeight > 0 && !row.querySelector("[role=columnheader]"),
      );
      const heights = new Set(rows.map((row) => row.offsetHeight));
      if (heights.size > 1) say(`rows are ${[...heights].join(", ")} px high`, tree);
    }
  }

  madeOfText();
  tooWide();
  uneven();
  return [...new Set(found)];
}
