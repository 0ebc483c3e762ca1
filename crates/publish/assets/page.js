// Asks as soon as a field changes, and swaps the page in place. Without this file the
// button does the same.
(() => {
  let last = null;
  let shown = location.pathname + location.search;
  // Where those who hear the page are told that it is another one.
  const heard = document.createElement("p");
  heard.className = "heard";
  heard.setAttribute("role", "status");
  document.body.append(heard);
  const show = async (url, push) => {
    const main = document.querySelector("main");
    if (last) last.abort();
    const mine = (last = new AbortController());
    main.classList.add("busy");
    main.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(url, { signal: mine.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const focused = document.activeElement && document.activeElement.name;
      document.title = page.title;
      main.replaceWith(page.querySelector("main"));
      if (push) history.pushState(null, "", url);
      shown = location.pathname + location.search;
      heard.textContent = document.querySelector("h1")?.textContent ?? "";
      if (focused) document.querySelector(`[name="${focused}"]`)?.focus();
    } catch (error) {
      if (error.name !== "AbortError") location.assign(url);
    }
  };
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form.ask");
    // Boxes are ticked one after the other: the button asks.
    if (!form || event.target.type === "checkbox") return;
    const fields = [...new FormData(form)].filter(([, value]) => value !== "");
    show(form.getAttribute("action") + "?" + new URLSearchParams(fields), true);
  });
  window.addEventListener("popstate", () => {
    // A way within the page, as that to its content, asks for nothing.
    if (location.pathname + location.search !== shown) show(location.href, false);
  });
})();
