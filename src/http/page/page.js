// Refreshes the page in place and keeps scroll position, focus, selection and collapsed sections; filters while the reader
// types; shows local time beside UTC. If the daemon does not respond, the page says so. Without this script the whole page
// reloads, and the filter has a button.
"use strict";

(() => {
  const every = Number(document.body.dataset.every) * 1000;
  const stale = document.getElementById("stale");
  let answered = document.querySelector("#as-of time")?.textContent;

  document.documentElement.classList.add("scripted");

  /** The identity of an element when it moves; sections are identified by their headings. */
  const key = (node) => (node.nodeType === Node.ELEMENT_NODE && (node.id || node.getAttribute("aria-labelledby"))) || "";

  /** Updates `old` to match `fresh`, node by node. */
  function morph(old, fresh) {
    for (const { name } of [...old.attributes]) {
      // The reader's collapsed and expanded sections are kept.
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

  const zone = new Date().toLocaleTimeString("en-GB", { timeZoneName: "short" }).split(" ").pop();
  const two = (number) => String(number).padStart(2, "0");
  const dayOf = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const timeOf = (at) => `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;

  /** Adds the reader's own time to each instant, unless it is UTC. */
  function localize(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (at.getTimezoneOffset() === 0 || Number.isNaN(at.getTime())) continue;
      const local = `${dayOf(at)} ${timeOf(at)} ${zone}`;
      if (time.title) {
        time.title = `${time.title} · ${local}`;
      } else if (time.matches(".full, #as-of *")) {
        const span = time.ownerDocument.createElement("span");
        span.className = "local";
        span.textContent = ` · ${at.toISOString().startsWith(dayOf(at)) ? `${timeOf(at)} ${zone}` : local}`;
        time.after(span);
      }
    }
    const named = root.querySelector(".zone");
    if (named && new Date().getTimezoneOffset() !== 0) named.textContent = `, and beside them ${zone}, your own`;
  }
  localize(document);

  function show(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const [live, top] = [fresh.getElementById("live"), fresh.getElementById("top")];
    if (!live || !top) throw new Error("not a status page");
    localize(fresh);
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
    // Set once: screen readers announce each change.
    if (!stale.textContent) {
      stale.textContent = `rekeyd has not responded since ${clock()}. This page shows the state as of ${answered ?? "an earlier time"}.`;
      document.title = `no response · ${document.title}`;
    }
  }

  let asking = false;
  // Counts the changes of the address: an answer about an earlier one is not shown.
  let moves = 0;

  async function refresh() {
    if (document.hidden || asking) return;
    asking = true;
    const asked = moves;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(every) });
      const text = await answer.text();
      if (asked === moves) show(text);
      document.documentElement.classList.remove("is-stale");
      stale.textContent = "";
    } catch {
      silent();
    } finally {
      asking = false;
    }
    if (asked !== moves) await refresh();
  }

  async function keep() {
    await refresh();
    setTimeout(keep, every);
  }
  setTimeout(keep, every);
  document.addEventListener("visibilitychange", refresh);

  // The filter follows what is typed and chosen; the address follows the filter.
  let typed;
  function filter(form) {
    const chosen = [...new FormData(form)].filter(([, value]) => value.trim() !== "");
    const query = new URLSearchParams(chosen).toString();
    history.replaceState(null, "", `${location.pathname}${query && `?${query}`}`);
    moves += 1;
    refresh();
  }
  for (const [event, wait] of [["input", 200], ["submit", 0]]) {
    document.addEventListener(event, (it) => {
      const form = it.target.closest?.("form.filter");
      if (!form) return;
      if (event === "submit") it.preventDefault();
      clearTimeout(typed);
      typed = setTimeout(filter, wait, form);
    });
  }

  async function copy(code) {
    if (navigator.clipboard) return navigator.clipboard.writeText(code.textContent);
    // Without a secure connection, copy the selection.
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
