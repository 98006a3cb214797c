// Keeps the page fresh in place: what changed is changed, and scroll position, focus, selection and what was folded
// stay. When the daemon does not answer, it says so. Without this script the page reloads itself as a whole.
"use strict";

(() => {
  const every = Number(document.body.dataset.every) * 1000;
  const stale = document.getElementById("stale");
  let answered = document.querySelector("#as-of time")?.textContent;

  document.documentElement.classList.add("scripted");

  /** By what an element is recognised wherever it has moved to; sections go by their headings. */
  const key = (node) => (node.nodeType === Node.ELEMENT_NODE && (node.id || node.getAttribute("aria-labelledby"))) || "";

  /** Makes `old` like `fresh`, node by node. */
  function morph(old, fresh) {
    for (const { name } of [...old.attributes]) {
      // What a reader has folded or unfolded stays so.
      if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const known = new Map([...old.children].filter(key).map((child) => [key(child), child]));
    let next = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      let match = key(child) ? known.get(key(child)) : next;
      if (match && (match.nodeName !== child.nodeName || key(match) !== key(child))) match = null;
      if (!match) {
        old.insertBefore(child, next);
        continue;
      }
      if (match === next) next = next.nextSibling;
      else old.insertBefore(match, next);
      if (match.nodeType === Node.ELEMENT_NODE) morph(match, child);
      else if (match.data !== child.data) match.data = child.data;
    }
    while (next) {
      const gone = next;
      next = next.nextSibling;
      gone.remove();
    }
  }

  function show(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const [live, top] = [fresh.getElementById("live"), fresh.getElementById("top")];
    if (!live || !top) throw new Error("not our page");
    answered = top.querySelector("#as-of time")?.textContent ?? answered;
    const focused = document.activeElement;
    const [x, y] = [scrollX, scrollY];
    morph(document.getElementById("live"), live);
    morph(document.getElementById("top"), top);
    document.title = fresh.title;
    if (document.activeElement !== focused && focused?.isConnected) focused.focus({ preventScroll: true });
    if (scrollX !== x || scrollY !== y) scrollTo(x, y);
  }

  const clock = () => `${new Date().toISOString().slice(11, 19)} UTC`;

  function silent() {
    document.documentElement.classList.add("is-stale");
    // Once: it is read out when it changes.
    if (!stale.textContent) {
      stale.textContent = `rekeyd does not answer since ${clock()}. What you see is as of ${answered ?? "before"}, and may be wrong by now.`;
      document.title = `no answer · ${document.title}`;
    }
  }

  let asking = false;

  async function refresh() {
    if (document.hidden || asking) return;
    asking = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(every) });
      const text = await answer.text();
      show(text);
      document.documentElement.classList.remove("is-stale");
      stale.textContent = "";
    } catch {
      silent();
    } finally {
      asking = false;
    }
  }

  async function keep() {
    await refresh();
    setTimeout(keep, every);
  }
  setTimeout(keep, every);
  document.addEventListener("visibilitychange", refresh);

  async function copy(code) {
    if (navigator.clipboard) return navigator.clipboard.writeText(code.textContent);
    // Not over a secure connection: by selecting it.
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    try {
      await copy(button.previousElementSibling);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
})();
