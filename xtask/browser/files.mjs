// The files that a page offers.

import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";

const bytes = (text) => Buffer.from(text, "latin1");

/** What a file of each format is called by a server, and how it must look. */
const FORMATS = {
  svg: { type: "image/svg+xml", looks: (b) => b.includes(bytes("<svg")) },
  png: { type: "image/png", looks: (b) => b.subarray(0, 4).equals(bytes("\x89PNG")) },
  csv: { type: "text/csv", looks: (b) => b.toString().trimEnd().includes("\n") },
  parquet: {
    type: "application/vnd.apache.parquet",
    looks: (b) => b.subarray(0, 4).equals(bytes("PAR1")) && b.subarray(-4).equals(bytes("PAR1")),
  },
  // Each message of a stream begins with this mark.
  arrow: {
    type: "application/vnd.apache.arrow.stream",
    looks: (b) => b.subarray(0, 4).equals(bytes("\xff\xff\xff\xff")),
  },
  json: { type: "application/json", looks: (b) => JSON.parse(b.toString()) !== null },
};

/** Every file that a served page links to opens and is what it is said to be. */
export async function downloads(tab) {
  const links = await tab.evaluate(() =>
    [...document.querySelectorAll("a[href*='format=']")].map((a) => a.href),
  );
  if (links.length === 0) return ["offers no file"];
  const found = [];
  for (const link of new Set(links)) {
    const format = new URL(link).searchParams.get("format");
    const wanted = FORMATS[format];
    const answer = await tab.request.get(link, { timeout: 0 });
    const type = answer.headers()["content-type"] ?? "";
    const body = await answer.body();
    if (answer.status() !== 200) found.push(`${link}: status ${answer.status()}`);
    else if (!type.startsWith(wanted.type)) found.push(`${link}: of type ${type}`);
    else if (!wanted.looks(body)) found.push(`${link}: ${body.length} bytes are no ${format}`);
  }
  return found;
}

/** Every file that a page on disk links to lies beside it and is not empty. */
export async function filesBeside(tab, page) {
  const links = await tab.evaluate(() =>
    [...document.querySelectorAll("a[href]")].map((a) => a.getAttribute("href")),
  );
  const files = links.filter((link) => !/^(#|[a-z]+:)/i.test(link));
  if (files.length === 0) return ["offers no file"];
  const size = (path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const absent = files.filter((f) => size(resolve(dirname(page), decodeURIComponent(f))) === 0);
  return absent.map((file) => `${file} is absent or empty`);
}
