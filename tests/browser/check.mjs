// Opens HTML files in headless Chromium and prints, as one JSON object, what it found out about each.
//
//     node check.mjs CHROMIUM FILE...
//
// Nothing is judged here and the policy of a page (CSP) stays on: axe comes in through the devtools protocol, which no
// policy blocks. Every context has a proxy of its own that answers nothing, so what a page asks of the network is
// counted even where Chromium reports no request, and nothing leaves the machine.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"];
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 320, height: 640 };
const SWITCHES = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
SWITCHES.push("--disable-component-update", "--disable-sync");

async function sourceOf(devtools, scriptId) {
  try {
    const { scriptSource } = await devtools.send("Debugger.getScriptSource", { scriptId });
    const sha256 = createHash("sha256").update(scriptSource).digest("base64");
    return { source: scriptSource.slice(0, 200), sha256 };
  } catch (error) {
    return { source: String(error), sha256: null };
  }
}

/** A page in a context of its own, and a log of what it did that a document does not do. */
async function open(browser, url, javaScriptEnabled) {
  const log = { scripts: [], requests: [], connections: [], console: [], dialogs: [], left: [] };
  const proxy = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (data) => {
      log.connections.push(data.toString("latin1").split("\r\n", 1)[0]);
      socket.destroy();
    });
  });
  await new Promise((done) => proxy.listen(0, "127.0.0.1", done));
  const server = `http://127.0.0.1:${proxy.address().port}`;
  const context = await browser.newContext({ javaScriptEnabled, viewport: WIDE, proxy: { server } });
  context.on("request", (request) => {
    const address = request.url();
    if (address.startsWith("data:") || (address === url && request.isNavigationRequest())) return;
    log.requests.push(address);
    if (request.isNavigationRequest() && !request.frame().parentFrame()) log.left.push(address);
  });
  context.on("console", (message) => log.console.push(`${message.type()}: ${message.text()}`));
  context.on("weberror", (error) => log.console.push(`uncaught: ${error.error()}`));
  context.on("dialog", (dialog) => {
    log.dialogs.push(`${dialog.type()}: ${dialog.message()}`);
    return dialog.dismiss();
  });
  const page = await context.newPage();
  if (javaScriptEnabled) {
    const devtools = await context.newCDPSession(page);
    devtools.on("Debugger.scriptParsed", ({ url: from, scriptId }) => {
      // what comes in through the devtools protocol has no address
      if (from) log.scripts.push(sourceOf(devtools, scriptId));
    });
    await devtools.send("Debugger.enable");
  }
  page.setDefaultTimeout(60_000);
  await page.goto(url, { waitUntil: "load" });
  // handlers of images and frames, and a redirect after no time, get the time to act
  await page.waitForTimeout(200);
  const close = () => Promise.all([context.close(), new Promise((done) => proxy.close(done))]);
  return { page, log, close };
}

const openDetails = (page) => page.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
const textOf = (page) => page.evaluate(() => document.body.innerText);

/** Elements that could run, load, send or move something, as opening tags; inline scripts are counted as they run. */
function activeElements() {
  const found = [];
  for (const e of document.querySelectorAll("*")) {
    const tag = e.localName;
    let active = ["iframe", "frame", "object", "embed", "form", "base", "link"].includes(tag);
    active ||= tag === "script" && e.hasAttribute("src");
    active ||= tag === "meta" && /^refresh$/i.test(e.httpEquiv);
    for (const { name, value } of e.attributes) {
      active ||= name.startsWith("on") || name === "srcdoc" || name === "ping";
      active ||= /(^|:)(href|action|formaction)$/.test(name) && !/^(#|https:\/\/)/.test(value);
    }
    if (active) found.push(e.cloneNode().outerHTML.slice(0, 200));
  }
  return found;
}

/**
 * Texts that run from right to left and share a line with other text from which nothing isolates them, so that they can
 * move it. A text that is foreign as a whole begins with such a letter in the pages of the tests.
 */
function mixedDirections() {
  const found = new Set();
  const inline = (e) => getComputedStyle(e).display.startsWith("inline");
  const says = (n) => n.textContent.trim() && !(n.nodeType === Node.ELEMENT_NODE && !inline(n));
  const beside = (n) => [...n.parentNode.childNodes].filter((other) => other !== n && other.localName !== "a");
  const shares = (n) => beside(n).some(says);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const first = node.data.search(/[\u0590-\u08ff]/);
    if (first < 0 || node.parentElement.localName === "script") continue;
    let mixed = node.data.slice(0, first).trim() !== "";
    for (let n = node; !mixed; n = n.parentElement) {
      mixed = shares(n);
      if (!inline(n.parentElement) || /isolate|plaintext/.test(getComputedStyle(n.parentElement).unicodeBidi)) break;
    }
    const { localName, textContent } = node.parentElement;
    if (mixed) found.add(`${localName}: ${textContent.slice(0, 200)}`);
  }
  return [...found];
}

/** Layout of the page at the present width: how wide it is, and what cannot be read by scrolling up and down alone. */
function layout() {
  const width = document.documentElement.clientWidth;
  const scrolls = (e) => /auto|scroll/.test(getComputedStyle(e).overflowX);
  const inRegion = (e) => e && e !== document.documentElement && (scrolls(e) || inRegion(e.parentElement));
  const name = (e) => e.cloneNode().outerHTML.slice(0, 200);
  const sticking = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim() || inRegion(node.parentElement)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const shown = [...range.getClientRects()].filter((r) => r.width > 1 && r.right > 0);
    if (shown.some((r) => r.right > width + 1 || r.left < -1)) sticking.add(name(node.parentElement));
  }
  const regions = [...document.querySelectorAll("body *")].filter((e) => scrolls(e) && e.scrollWidth > e.clientWidth);
  const dumb = regions.filter((e) => e.tabIndex < 0 || !e.role || !(e.ariaLabel || e.getAttribute("aria-labelledby")));
  return {
    scrollWidth: document.documentElement.scrollWidth,
    sticking: [...sticking],
    regions: regions.length,
    widestRegion: Math.max(0, ...regions.map((e) => e.scrollWidth)),
    regionsWithoutKeyboard: dumb.map(name),
  };
}

/** Walks the page with the Tab key: what is never reached, and what is reached but not marked as focused. */
async function keyboard(page) {
  const stops = await page.evaluate(() => {
    const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")];
    const visible = (e) => e.checkVisibility({ visibilityProperty: true });
    window.__stops = new Map(all.filter((e) => e.tabIndex >= 0 && visible(e)).map((e) => [e, null]));
    window.__look = ({ target }) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(target);
      const marked = (outlineStyle !== "none" && parseFloat(outlineWidth) >= 1) || boxShadow !== "none";
      const { left, right, top, bottom } = target.getBoundingClientRect();
      const inSight = right > 0 && bottom > 0 && left < innerWidth && top < innerHeight;
      window.__stops.set(target, marked && inSight);
    };
    addEventListener("focusin", window.__look);
    return window.__stops.size;
  });
  for (let i = 0; i < stops + 1; i++) await page.keyboard.press("Tab");
  return page.evaluate(() => {
    const found = { stops: window.__stops.size, unreached: [], unmarked: [] };
    for (const [e, marked] of window.__stops) {
      if (marked === null) found.unreached.push(e.cloneNode().outerHTML.slice(0, 200));
      if (marked === false) found.unmarked.push(e.cloneNode().outerHTML.slice(0, 200));
    }
    removeEventListener("focusin", window.__look);
    return found;
  });
}

/** Makes every scrolling region, and all that it lies in, as wide as what it holds. */
function unroll() {
  window.__rolled = new Map();
  const change = (e, style) => {
    if (!window.__rolled.has(e)) window.__rolled.set(e, e.style.cssText);
    Object.assign(e.style, style);
  };
  const cut = (e) => getComputedStyle(e).overflowX !== "visible" && e.scrollWidth > e.clientWidth;
  const regions = [...document.querySelectorAll("body *")].filter(cut);
  const widths = regions.map((e) => e.scrollWidth + 1000);
  regions.forEach((region, i) => {
    change(region, { overflow: "visible" });
    for (let e = region; e !== document.body; e = e.parentElement) {
      const minWidth = `${Math.max(widths[i], parseFloat(e.style.minWidth) || 0)}px`;
      change(e, { maxWidth: "none", minWidth });
    }
  });
}

/**
 * What axe says of the page. Contrast is judged with the scrolling regions unrolled, since axe cannot tell it of text that
 * they cut off; it takes most of the time.
 */
async function axe(page, colorScheme, viewport, contrastToo = true) {
  await page.emulateMedia({ colorScheme });
  await page.setViewportSize(viewport);
  const run = (runOnly, contrast) =>
    page.evaluate((options) => window.axe.run(document, options), {
      runOnly,
      rules: { "target-size": { enabled: true }, "color-contrast": { enabled: contrast } },
      resultTypes: ["violations", "incomplete"],
      preload: false,
    });
  const { violations, incomplete: undecided } = await run({ type: "tag", values: TAGS }, false);
  if (contrastToo) {
    await page.evaluate(unroll);
    await page.setViewportSize({ width: 10_000, height: 900 });
    const contrast = await run({ type: "rule", values: ["color-contrast"] }, true);
    violations.push(...contrast.violations);
    undecided.push(...contrast.incomplete);
    await page.evaluate(() => window.__rolled.forEach((style, e) => (e.style.cssText = style)));
    await page.setViewportSize(viewport);
  }
  const brief = ({ id, help, nodes }) => ({
    rule: id,
    help,
    nodes: nodes.map((n) => ({ target: n.target.join(" "), html: n.html.slice(0, 300), why: n.failureSummary })),
  });
  return { violations: violations.map(brief), undecided: undecided.map(brief) };
}

/** Sorts the longest sortable table by the column of most numbers, upwards and downwards, and filters it by a word. */
async function sortAndFilter(page) {
  const tables = await page.$$("table.sortable");
  const sizes = await Promise.all(tables.map((table) => table.evaluate((t) => t.tBodies[0].rows.length)));
  const table = tables[sizes.indexOf(Math.max(...sizes))];
  if (!table) return null;
  const column = await table.evaluate((t) => {
    const rows = [...t.tBodies[0].rows];
    const different = [...t.tHead.rows[0].cells].map((_, i) => {
      const numbers = rows.map((row) => row.cells[i].querySelector("data")?.value);
      return numbers.includes(undefined) ? 0 : new Set(numbers).size;
    });
    return different.indexOf(Math.max(...different));
  });
  const look = () =>
    table.evaluate((t, column) => {
      const shown = [...t.tBodies[0].rows].filter((row) => row.checkVisibility());
      const values = shown.map((row) => Number(row.cells[column].querySelector("data")?.value));
      const words = shown.map((row) => row.cells[0].innerText);
      return { values, words, sorted: t.tHead.rows[0].cells[column].ariaSort };
    }, column);
  const before = await look();
  const button = await (await table.$$("thead th"))[column].$("button");
  await button.click();
  const up = await look();
  await button.click();
  const down = await look();
  const field = await table.evaluateHandle((t) => t.closest(".scroll").parentElement.querySelector("[type=search]"));
  const word = before.words[0].toUpperCase();
  await field.asElement().fill(word);
  const filtered = await look();
  await field.asElement().fill("");
  return { before, up, down, word, filtered, after: await look() };
}

async function withScript(page) {
  const closed = await textOf(page);
  await openDetails(page);
  const text = `${closed}\f${await textOf(page)}`;
  const active = await page.evaluate(activeElements);
  const mixed = await page.evaluate(mixedDirections);
  const marker = await page.evaluate(() => window.__ran ?? null);
  const keys = await keyboard(page);
  await page.evaluate(AXE);
  const enhanced = await sortAndFilter(page).catch((error) => ({ error: String(error) }));
  const light = await axe(page, "light", WIDE);
  const dark = await axe(page, "dark", WIDE);
  const wide = await page.evaluate(layout);
  const small = await axe(page, "light", NARROW, false);
  const narrow = await page.evaluate(layout);
  const accessibility = { light, dark, narrow: small };
  const look = { accessibility, layout: { wide, narrow }, keyboard: keys, mixed };
  return { marker, active, enhanced, ...look, text_with_script: text };
}

async function withoutScript(page) {
  const closed = await textOf(page);
  await openDetails(page);
  return { text_without_script: `${closed}\f${await textOf(page)}` };
}

async function examine(browser, url, javaScriptEnabled) {
  const { page, log, close } = await open(browser, url, javaScriptEnabled);
  let seen = {};
  try {
    seen = await (javaScriptEnabled ? withScript : withoutScript)(page);
  } catch (error) {
    // a page that leads away cannot be looked at any longer
    if (!log.left.length) throw error;
  } finally {
    log.scripts = await Promise.all(log.scripts);
    await close();
  }
  return { seen, log };
}

const [executablePath, ...files] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, headless: true, chromiumSandbox: false, args: SWITCHES });
try {
  const found = await Promise.all(
    files.map(async (file) => {
      const url = pathToFileURL(file).href;
      const [on, off] = await Promise.all([examine(browser, url, true), examine(browser, url, false)]);
      const log = Object.entries(on.log).map(([what, lines]) => [what, lines.concat(off.log[what])]);
      return [file, { ...Object.fromEntries(log), ...on.seen, ...off.seen }];
    }),
  );
  console.log(JSON.stringify({ browser: browser.version(), pages: Object.fromEntries(found) }));
} finally {
  await browser.close();
}
