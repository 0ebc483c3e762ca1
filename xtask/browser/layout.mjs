// What a reader would see to be wrong at one glance. Both functions run in the page.

/** Whether the page fits the screen, and what is too wide if it does not. */
export function fits() {
  const tell = (e) => e.localName + (e.id ? `#${e.id}` : `.${e.getAttribute("class") ?? ""}`);
  const wide = document.documentElement.scrollWidth;
  if (wide <= window.innerWidth) return [];
  const beyond = [...document.querySelectorAll("body *")].filter(
    (e) => e.getBoundingClientRect().right > window.innerWidth + 1 && !e.closest(".scroll"),
  );
  const who = beyond.slice(0, 3).map(tell).join(", ");
  return [`is ${wide} px wide on a screen of ${window.innerWidth}: ${who}`];
}

/** Figures that are not drawn, and texts that lie over each other or leave their drawing. */
export function drawn(figuresMin) {
  const found = [];
  const figures = [...document.querySelectorAll("figure")];
  if (figures.length < figuresMin) {
    found.push(`${figures.length} figures, not ${figuresMin} or more`);
  }
  for (const figure of figures) {
    const drawn = [...figure.querySelectorAll("svg")].filter((s) => s.checkVisibility());
    const box = drawn[0]?.getBoundingClientRect();
    if (drawn.length !== 1 || box.width < 200 || box.height < 30) {
      found.push(`figure ${figure.id}: ${drawn.length} drawings are shown`);
    }
    for (const svg of drawn) found.push(...crossed(figure, svg));
  }
  return found;

  // Texts of a drawing that lie over each other or leave the drawing. A halo is the same
  // text once more, beneath it.
  function crossed(figure, svg) {
    const texts = [...svg.querySelectorAll("text:not(.halo)")]
      .map((text) => ({ words: text.textContent, box: text.getBoundingClientRect() }))
      .filter(({ words }) => words.trim() !== "");
    const told = [];
    const frame = svg.getBoundingClientRect();
    for (const { words, box } of texts) {
      if (box.left < frame.left - 4 || box.right > frame.right + 4) {
        told.push(`figure ${figure.id}: “${words}” leaves the drawing`);
      }
    }
    // A line of text is laid out taller than its letters are.
    const slack = 3;
    for (const [at, a] of texts.entries()) {
      for (const b of texts.slice(at + 1)) {
        const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
        const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
        if (across > 1 && down > slack) {
          told.push(`figure ${figure.id}: “${a.words}” lies over “${b.words}”`);
        }
      }
    }
    return told;
  }
}
