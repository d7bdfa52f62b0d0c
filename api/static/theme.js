// Before the first paint: the theme that the person chose, else the one of the system.
"use strict";
(function () {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    const chosen = localStorage.getItem("prosa-theme");
    document.documentElement.dataset.bsTheme = chosen || (dark.matches ? "dark" : "light");
  }
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  document.addEventListener("click", function (event) {
    if (!event.target.closest("[data-toggle-theme]")) return;
    localStorage.setItem("prosa-theme", document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark");
    apply();
  });
  apply();
})();
