// The page on paper: printed as whoever reads in the dark would print it.

import { readFileSync } from "node:fs";

/** A4 within Chromium's own margins of 1 cm, in CSS pixels. */
const SHEET = { width: 718, height: 1046 };
const MARGIN = "1cm";

/** Prints the page to a file of PDF; what is wrong with the sheets. */
export async function prints(tab, path) {
  await tab.emulateMedia({ media: "print", colorScheme: "dark" });
  await tab.setViewportSize(SHEET);
  const found = await tab.evaluate(onPaper, SHEET);
  const margin = { top: MARGIN, right: MARGIN, bottom: MARGIN, left: MARGIN };
  await tab.pdf({ path, format: "A4", margin, tagged: true, outline: true });
  const pdf = readFileSync(path).toString("latin1");
  if (!pdf.startsWith("%PDF-")) found.push("is no PDF");
  if (!/\/Type ?\/Page\b/.test(pdf)) found.push("has no sheet");
  if (!pdf.includes("/StructTreeRoot")) found.push("has no headings for those who listen");
  return found;
}

/** Runs in the page. */
function onPaper(sheet) {
  const found = [];
  const tell = (e) => e.localName + (e.id ? `#${e.id}` : `.${e.getAttribute("class") ?? ""}`);
  const shown = (selector) =>
    [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());
  for (const e of shown("main *")) {
    const box = e.getBoundingClientRect();
    if (box.right > sheet.width + 1) found.push(`${tell(e)} leaves the sheet`);
  }
  for (const e of shown("figure")) {
    const { height } = e.getBoundingClientRect();
    if (height > sheet.height) found.push(`${tell(e)} is ${Math.round(height)} px high`);
  }
  for (const e of shown("nav, form, button, input, select, summary")) {
    found.push(`${tell(e)} is of no use there`);
  }
  // Backgrounds are not printed: on paper only dark letters can be read.
  const light = (colour) => {
    const parts = colour.match(/\d+/g)?.slice(0, 3) ?? [];
    return parts.length === 3 && parts.every((part) => Number(part) > 150);
  };
  for (const e of shown("h1, h2, p, td, text:not(.halo)")) {
    const style = getComputedStyle(e);
    const colour = e.localName === "text" ? style.fill : style.color;
    if (light(colour)) found.push(`${tell(e)} is pale: ${colour}`);
  }
  return [...new Set(found)].slice(0, 5);
}
