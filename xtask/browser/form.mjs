// The form that asks for another selection: with the script it asks by itself and keeps the
// reader's place; without it, its button does the same. And the form to log in, which has no
// script.

const PATIENCE_MS = 120_000;
const FIELD = 'form.ask select[name="country"]';

/** The last choice of the field, which is not the one that is shown. */
const other = (tab) => tab.locator(`${FIELD} option`).last().getAttribute("value");
const content = (tab) => tab.locator("main").innerText();
const country = (tab) => new URL(tab.url()).searchParams.get("country");

export async function formAsksByItself(tab) {
  const found = [];
  const [choice, before] = [await other(tab), await content(tab)];
  await tab.evaluate(() => {
    window.same = true;
  });
  await tab.locator(FIELD).focus();
  await tab.locator(FIELD).selectOption(choice);
  await tab.waitForURL((url) => url.searchParams.get("country") === choice, { timeout: PATIENCE_MS });
  await tab.waitForSelector("main:not(.busy)", { timeout: PATIENCE_MS });
  if (!(await tab.evaluate(() => window.same === true))) found.push("the form loads a whole page");
  const focused = await tab.evaluate(() => document.activeElement?.getAttribute("name"));
  if (focused !== "country") found.push(`after a choice the focus is at ${focused}`);
  if ((await tab.locator(FIELD).inputValue()) !== choice) found.push("the choice is not kept");
  if ((await content(tab)) === before) found.push("after a choice the page stays the same");
  await tab.goBack();
  const back = (was) => document.querySelector("main")?.innerText === was;
  await tab.waitForFunction(back, before, { timeout: PATIENCE_MS }).catch(() => {
    found.push("going back does not bring the former page");
  });
  return found;
}

export async function formAsksWithoutScript(browser, address) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const tab = await context.newPage();
  await tab.goto(address, { timeout: PATIENCE_MS });
  const [choice, before] = [await other(tab), await content(tab)];
  await tab.locator(FIELD).selectOption(choice);
  await tab.locator("form.ask button").click({ timeout: PATIENCE_MS });
  await tab.waitForLoadState("load", { timeout: PATIENCE_MS });
  const found = [];
  if (country(tab) !== choice) found.push("without a script the button does not ask");
  if ((await content(tab)) === before) found.push("without a script the page stays the same");
  await context.close();
  return found;
}

export async function logsIn(browser, address, token) {
  const context = await browser.newContext();
  const tab = await context.newPage();
  const found = [];
  const enter = async (text) => {
    await tab.getByLabel("Token").fill(text);
    await tab.keyboard.press("Enter");
    await tab.waitForLoadState("load", { timeout: PATIENCE_MS });
  };
  const wanted = new URL("/products", address).href;
  await tab.goto(wanted, { timeout: PATIENCE_MS });
  await enter("tg_wrong");
  const said = tab.getByRole("alert");
  await said.waitFor({ timeout: PATIENCE_MS }).catch(() => found.push("a wrong token is not told"));
  await enter(token);
  await tab.waitForURL(wanted, { timeout: PATIENCE_MS }).catch(() => {
    found.push(`after logging in the page is ${tab.url()}, not ${wanted}`);
  });
  await context.close();
  return found;
}
