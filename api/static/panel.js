// The little that htmx does not do: running clocks, the state of the live line, keys, no row twice.
"use strict";
(function () {
  function spoken(seconds) {
    if (seconds < 60) return seconds + " s";
    if (seconds < 3600) return Math.floor(seconds / 60) + " min " + String(seconds % 60).padStart(2, "0") + " s";
    return Math.floor(seconds / 3600) + " h " + String(Math.floor((seconds % 3600) / 60)).padStart(2, "0") + " min";
  }

  // The clock of the server counts: a browser whose clock is wrong still shows the right duration.
  const skew = Date.now() - Number(document.body.dataset.now || Date.now());
  function tick() {
    const now = Date.now() - skew;
    for (const clock of document.querySelectorAll("[data-since]")) {
      clock.textContent = spoken(Math.max(0, Math.round((now - Number(clock.dataset.since)) / 1000)));
    }
  }
  setInterval(tick, 1000);
  tick();

  // A row is on the page once. One that is in the same list already is renewed in its place; one that was in the other
  // list leaves it; one that no longer fits the filter goes.
  document.addEventListener("htmx:oobBeforeSwap", function (event) {
    const list = event.detail.target;
    for (const row of event.detail.fragment.querySelectorAll("[data-row]")) {
      const here = document.getElementById(row.id);
      if (here && "gone" in row.dataset) here.remove();
      else if (here && here.parentNode === list && list.id) keepFocus(here, row);
      else if (here) here.remove();
      if ("gone" in row.dataset) row.remove();
    }
  });

  function keepFocus(here, row) {
    const had = here.contains(document.activeElement);
    here.replaceWith(row);
    if (had) row.querySelector("a[data-open]")?.focus();
  }

  document.addEventListener("htmx:oobAfterSwap", tick);

  // A board is read again as a whole. Whoever is writing on it is not interrupted: the news wait until it is sent.
  document.addEventListener("htmx:beforeSwap", function (event) {
    const board = event.detail.target;
    if (!("board" in board.dataset)) return;
    const written = Array.from(board.querySelectorAll("input, textarea")).some((one) => one.value !== one.defaultValue);
    if (written || board.querySelector("details[open]") || board.contains(document.activeElement)) {
      event.detail.shouldSwap = false;
      document.getElementById("board-news").hidden = false;
    }
  });

  document.addEventListener("htmx:sseOpen", function () { document.body.dataset.line = "open"; });
  document.addEventListener("htmx:sseError", function () { document.body.dataset.line = "lost"; });

  // "/" goes to the search field, as in most panels; "j" and "k" walk the calls.
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (event.key === "/") {
      const field = document.querySelector("[data-search]");
      if (!field) return;
      event.preventDefault();
      field.closest("details")?.setAttribute("open", "");
      field.focus();
    } else if (event.key === "j" || event.key === "k") {
      const links = Array.from(document.querySelectorAll("[data-row] a[data-open]"));
      const at = links.indexOf(document.activeElement);
      const next = links[event.key === "j" ? at + 1 : Math.max(0, at - 1)];
      if (next) next.focus();
    }
  });
})();
