// What an address points at is opened, also when it lies in something that is closed.
"use strict";
(function () {
  function open() {
    const here = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!here) return;
    for (let at = here; at; at = at.parentElement) if (at.matches("details")) at.open = true;
    here.scrollIntoView({ behavior: "instant" });
    (here.matches("details") ? here.querySelector("summary") : here).focus({ preventScroll: true });
  }
  addEventListener("hashchange", open);
  open();
})();
