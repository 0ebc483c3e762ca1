// Looks at pages in Chromium as people use them: on a desk and on a phone, light and dark,
// with the keyboard alone, without scripts. Prints a line for each finding.
//
//     node look.mjs PLAN.json
//
// The plan names the browser, the folder for pictures, and the pages; see `Page` below.
// `cargo xtask test` writes it and starts this.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import { chromium } from "playwright-core";
import { downloads, filesBeside } from "./files.mjs";
import { formAsksByItself, formAsksWithoutScript, logsIn } from "./form.mjs";
import { walk } from "./keyboard.mjs";
import { drawn, fits } from "./layout.mjs";
import { prints } from "./print.mjs";

/**
 * @typedef {object} Page
 * @property {string} name for findings and pictures
 * @property {string} address where it is; or where the link to it is, with `first`
 * @property {string} [first] take the first link of the page that begins so
 * @property {number} [figures] the fewest figures it must have
 * @property {number} [status] what the server answers with, if not 200
 * @property {string[]} [says] words that must stand on it
 * @property {string} [until_not] words that stand on it while it is not ready yet
 * @property {string[]} [wrong] what must be found on it: it is there to try the finding
 * @property {string[]} [also] "downloads", "files" (beside it on disk), "form", "login",
 *   "print"
 * @property {string} [token] what is known there, to log in with
 */

const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const VARIANTS = [1440, 360].flatMap((width) =>
  ["light", "dark"].map((scheme) => ({ width, scheme })),
);
const HEIGHT = 900;
// The narrowest screen that text must fit without being pushed sideways (WCAG 1.4.10).
const NARROWEST = 320;
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
// How long a page may be on the way: the server may be an unoptimised build, and a page may
// stand for an estimate that is being worked out.
const PATIENCE_MS = 240_000;
const AGAIN_MS = 1_000;

/** Findings; the same one at several variants is told once. */
class Findings {
  #found = new Map();

  add(page, variant, text) {
    const key = `${page}: ${text}`;
    if (!this.#found.has(key)) this.#found.set(key, []);
    this.#found.get(key).push(variant);
  }

  lines() {
    return [...this.#found].map(([text, variants]) => {
      const where = [...new Set(variants)].filter(Boolean).join(", ");
      return where === "" ? text : `${text} [${where}]`;
    });
  }

  /** Takes those of a page that has faults on purpose; the faults not found are findings. */
  expect({ name, wrong }) {
    const own = [...this.#found.keys()].filter((text) => text.startsWith(`${name}: `));
    for (const text of own) this.#found.delete(text);
    for (const fault of wrong) {
      if (!own.some((text) => text.includes(fault))) this.add(name, "", `not found: ${fault}`);
    }
  }
}

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const findings = new Findings();
const browser = await chromium.launch({
  executablePath: plan.chromium,
  args: QUIET,
  timeout: PATIENCE_MS,
});
try {
  await found(plan.pages);
  for (const variant of VARIANTS) await lookAtAll(variant);
  for (const page of plan.pages) await use(page);
} finally {
  await browser.close();
}
for (const page of plan.pages.filter((p) => p.wrong)) findings.expect(page);
const lines = findings.lines();
for (const line of lines) console.log(line);
console.log(`${plan.pages.length} pages looked at, ${lines.length} findings`);
process.exitCode = lines.length === 0 ? 0 : 1;

/** Puts the address of the page in the place of the one that links to it. */
async function found(pages) {
  const context = await browser.newContext();
  const tab = await context.newPage();
  for (const page of pages.filter((p) => p.first)) {
    await tab.goto(page.address, { timeout: PATIENCE_MS });
    const link = tab.locator(`main a[href^="${page.first}"]`).first();
    if ((await link.count()) === 0) {
      throw new Error(`${page.name}: ${page.address} has no link to ${page.first}…`);
    }
    page.address = await link.evaluate((a) => a.href);
  }
  for (const page of pages.filter((p) => p.until_not)) await ready(tab, page);
  await context.close();
}

/** Waits until the page is what it will be; if it takes too long, it is looked at as it is. */
async function ready(tab, page) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    await tab.goto(page.address, { timeout: PATIENCE_MS });
    const text = await tab.locator("main").innerText();
    if (!text.includes(page.until_not)) return;
    if (Date.now() > until) {
      console.log(`${page.name}: looked at while it says “${page.until_not}”`);
      return;
    }
    await tab.waitForTimeout(AGAIN_MS);
  }
}

async function lookAtAll(variant) {
  const { width, scheme } = variant;
  const name = `${width} ${scheme}`;
  const context = await browser.newContext({
    viewport: { width, height: HEIGHT },
    colorScheme: scheme,
    reducedMotion: "reduce",
  });
  for (const page of plan.pages) {
    const say = (text) => findings.add(page.name, name, text);
    const tab = await opened(context, page, say);
    if (tab === null) continue;
    const picture = `${plan.pictures}/${page.name}-${width}-${scheme}.png`;
    await tab.screenshot({ path: picture, fullPage: true });
    for (const text of await tab.evaluate(drawn, page.figures ?? 0)) say(text);
    const folded = await tab.evaluate(fits);
    for (const text of folded) say(text);
    await tab.evaluate(unfold);
    for (const text of await tab.evaluate(fits)) {
      if (!folded.includes(text)) say(`unfolded, it ${text}`);
    }
    for (const text of await violations(tab)) say(text);
    if (width === 360) {
      await tab.setViewportSize({ width: NARROWEST, height: HEIGHT });
      for (const text of await tab.evaluate(fits)) say(text);
    }
    await tab.close();
  }
  await context.close();
}

function unfold() {
  for (const details of document.querySelectorAll("details")) details.open = true;
}

/** A tab with the page; whatever it complains of or asks for elsewhere is a finding. */
async function opened(context, page, say) {
  const tab = await context.newPage();
  tab.setDefaultTimeout(PATIENCE_MS);
  const home = new URL(page.address);
  const own = (address) => {
    const url = new URL(address);
    if (url.protocol === "data:" || url.protocol === "blob:") return true;
    return url.protocol === "file:" ? address === page.address : url.origin === home.origin;
  };
  tab.on("console", (m) => {
    const refused = (page.status ?? 200) !== 200 && m.text().includes(`status of ${page.status}`);
    if (["error", "warning", "assert"].includes(m.type()) && !refused) say(`console: ${m.text()}`);
  });
  tab.on("pageerror", (error) => say(`script: ${error.message}`));
  tab.on("request", (r) => own(r.url()) || say(`asks for ${r.url()}`));
  tab.on("requestfailed", (r) => say(`${r.url()}: ${r.failure()?.errorText}`));
  tab.on("response", (r) => {
    const wanted = r.url() === page.address ? (page.status ?? 200) : 200;
    // From disk there is no status.
    if (![wanted, 304, 0].includes(r.status())) say(`${r.url()}: status ${r.status()}`);
  });
  try {
    await tab.goto(page.address, { waitUntil: "load", timeout: PATIENCE_MS });
  } catch (error) {
    say(`does not open: ${error.message.split("\n")[0]}`);
    await tab.close();
    return null;
  }
  await tab.evaluate(() => document.fonts.ready.then(() => null));
  const text = (await tab.locator("body").innerText()).toLowerCase();
  for (const words of page.says ?? []) {
    if (!text.includes(words.toLowerCase())) say(`does not say “${words}”`);
  }
  return tab;
}

/** What axe finds. It is given as text, so that the page's own policy stays in force. */
async function violations(tab) {
  await tab.evaluate(`${axe.source};0`);
  const found = await tab.evaluate(
    (rules) =>
      window.axe.run(document, {
        runOnly: { type: "tag", values: rules },
        resultTypes: ["violations"],
        preload: false,
      }),
    RULES,
  );
  return found.violations.map((v) => {
    const first = v.nodes[0];
    const why = first.failureSummary.split("\n").slice(1).join(" ").trim();
    const html = first.html.replace(/\s+/g, " ").slice(0, 160);
    return `axe ${v.id}, ${v.nodes.length} times, first ${first.target.join(" ")} ${html}: ${why}`;
  });
}

/** What one does with a page besides looking at it. */
async function use(page) {
  const also = page.also ?? [];
  for (const { width, scheme } of [VARIANTS[0], VARIANTS.at(-1)]) {
    const say = (text) => findings.add(page.name, `${width} ${scheme}`, text);
    const options = { viewport: { width, height: HEIGHT }, colorScheme: scheme };
    const context = await browser.newContext(options);
    const tab = await opened(context, page, say);
    if (tab !== null) for (const text of await walk(tab)) say(`keyboard: ${text}`);
    await context.close();
  }
  const say = (text) => findings.add(page.name, "", text);
  const context = await browser.newContext();
  const tab = await opened(context, page, say);
  if (tab !== null && also.includes("downloads")) {
    for (const text of await downloads(tab)) say(text);
  }
  if (tab !== null && also.includes("files")) {
    for (const text of await filesBeside(tab, fileURLToPath(page.address))) say(text);
  }
  if (tab !== null && also.includes("form")) {
    for (const text of await formAsksByItself(tab)) say(text);
    for (const text of await formAsksWithoutScript(browser, page.address)) say(text);
  }
  if (tab !== null && also.includes("login")) {
    for (const text of await logsIn(browser, page.address, page.token)) say(text);
  }
  if (tab !== null && also.includes("print")) {
    const file = `${plan.pictures}/${page.name}.pdf`;
    for (const text of await prints(tab, file)) say(`printed: ${text}`);
  }
  await context.close();
}
