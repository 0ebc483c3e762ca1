// A page with the keyboard alone: the way past the navigation, and a visible stop at
// everything that can be used.

/** No page has more stops. */
const STOPS_MAX = 2_000;

export async function walk(tab) {
  const found = [];
  const expected = await tab.evaluate(mark);
  const skips = (await tab.locator("a.skip").count()) > 0;
  const reached = new Set();
  for (let stop = 0; stop < STOPS_MAX; stop += 1) {
    await tab.keyboard.press("Tab");
    const here = await tab.evaluate(at);
    if (here === null || reached.has(here.stop)) break;
    if (stop === 0 && skips && !here.skips) found.push(`the first stop is ${here.name}`);
    if (here.hidden !== "") found.push(`${here.name} ${here.hidden}`);
    reached.add(here.stop);
  }
  const missed = expected.filter(({ stop }) => !reached.has(stop));
  for (const { name } of missed.slice(0, 5)) found.push(`${name} is not reached`);
  if (missed.length > 5) found.push(`${missed.length} are not reached`);
  if (skips) found.push(...(await skip(tab)));
  return found;
}

/** Enter on the skip link leads into the content, and Tab on from there. */
async function skip(tab) {
  await tab.reload();
  await tab.keyboard.press("Tab");
  await tab.keyboard.press("Enter");
  const inMain = () => document.activeElement?.id === "main";
  const led = await tab.waitForFunction(inMain, null, { timeout: 5_000 }).then(
    () => true,
    () => false,
  );
  if (!led) return ["the skip link does not lead to the content"];
  const next = await tab.evaluate(
    () => document.querySelector("main :is(a[href],summary,select,input,button,.scroll)") !== null,
  );
  await tab.keyboard.press("Tab");
  const within = await tab.evaluate(() => document.activeElement.closest("main") !== null);
  return next && !within ? ["after the skip link, Tab leads back out of the content"] : [];
}

/** In the page: unfolds all, numbers everything that can be used, and lists it. */
function mark() {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const usable = "a[href],button,input,select,textarea,summary";
  return [...document.querySelectorAll(`${usable},[tabindex]`)]
    .filter((e) => e.tabIndex >= 0 || e.matches(usable))
    .filter((e) => !e.disabled && e.checkVisibility())
    .map((element, stop) => {
      element.dataset.stop = String(stop);
      const words = (element.getAttribute("aria-label") ?? element.textContent).trim();
      return { stop: String(stop), name: `${element.localName} “${words.slice(0, 40)}”` };
    });
}

/** In the page: where the focus is, and what hides it. */
function at() {
  const element = document.activeElement;
  if (element === null || element === document.body || element === document.documentElement) {
    return null;
  }
  const words = (element.getAttribute("aria-label") ?? element.textContent).trim();
  const style = getComputedStyle(element);
  const box = element.getClientRects()[0] ?? element.getBoundingClientRect();
  const width = parseFloat(style.outlineWidth);
  // The part within the window: a long table is taller than it.
  const [left, right] = [Math.max(box.left, 0), Math.min(box.right, innerWidth)];
  const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
  const within = right > left && bottom > top;
  const points = within ? [0.1, 0.5, 0.9].map((f) => [left + (right - left) * f, (top + bottom) / 2]) : [];
  const seen = points.map(([x, y]) => document.elementFromPoint(x, y));
  let hidden = "";
  if (style.outlineStyle === "none" || !(width >= 2)) hidden = "shows no focus";
  else if (seen.length === 0) hidden = "is focused outside the window";
  else if (!seen.some((e) => element.contains(e))) hidden = "is focused under something else";
  return {
    stop: element.dataset.stop ?? words,
    name: `${element.localName} “${words.slice(0, 40)}”`,
    skips: element.matches("a.skip"),
    hidden,
  };
}
