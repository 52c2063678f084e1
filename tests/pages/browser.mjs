// Looks at the web pages in Debian's chromium. The Rust suite `pages::browser` starts the site, and runs this.
//
// usage: node browser.mjs BASE GUARDED-BASE
//
// PAGES_MODULES is the directory that tests/pages/get printed, PAGES_TOKEN the token of the second operator. With
// PAGES_SCREENSHOTS, a directory, it leaves pictures there. It prints "ok CHECK" for each check that passed, and "add image"
// when it wants another download. It exits with 1 at the first check that fails.
import assert from "node:assert/strict";
import { readFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.PAGES_MODULES, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const [base, guarded] = process.argv.slice(2);
const image = "/images/default/aaaaaaaa-0000-4000-8000-000000000001";
const held = "/images/default/aaaaaaaa-0000-4000-8000-000000000002";
const pictures = process.env.PAGES_SCREENSHOTS;
const wait = { timeout: 60_000 };

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });

// A context whose requests and errors are watched.
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const seen = { elsewhere: [], errors: [] };
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (![new URL(base).origin, new URL(guarded).origin].includes(url.origin)) seen.elsewhere.push(request.url());
  });
  context.on("console", (message) => {
    if (message.type() === "error" || message.text().includes("Content Security Policy")) seen.errors.push(message.text());
  });
  context.on("weberror", (error) => seen.errors.push(String(error.error())));
  context.on("dialog", (dialog) => seen.errors.push(`a dialog: ${dialog.message()}`));
  const page = await context.newPage();
  page.setDefaultTimeout(wait.timeout);
  return { context, page, seen };
}

async function check(name, run) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    console.error(`${name}: ${error.stack}`);
    await browser.close();
    process.exit(1);
  }
}

// A path of the first operator, or an address of the second one.
function at(address) {
  return address.startsWith("/") ? base + address : address;
}

// The addresses of all pages: those that are always there, and one of each kind.
async function addresses() {
  const { context, page } = await open();
  await page.goto(base + image);
  const version = await page.locator('#versions a[href$="/download"]').first().getAttribute("href");
  await context.close();
  const all = {
    overview: "/",
    subscriptions: "/subscriptions",
    subscription: "/subscriptions/default/vo",
    images: "/images",
    nothing: "/images?q=nothing-has-this&state=late",
    image,
    running: held,
    version: version.replace(/\/download$/, ""),
    endorsers: "/endorsers",
    clouds: "/clouds",
    events: "/events",
    login: `${guarded}/login`,
    missing: "/none",
  };
  return all;
}

const pages = await addresses();

await check("each page loads, and nothing else does", async () => {
  const { context, page, seen } = await open();
  for (const [name, address] of Object.entries(pages)) {
    const response = await page.goto(at(address));
    assert.equal(response.status(), name === "missing" ? 404 : 200, address);
    assert.equal(await page.locator("h1").count(), 1, address);
    assert.match(await page.title(), / – vmcatcher-operator$/, address);
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
    for (const landmark of ["banner", "main", "contentinfo"]) {
      assert.equal(await page.getByRole(landmark).count(), 1, `${landmark} on ${address}`);
    }
  }
  await page.goto(base);
  // A style in a page and a script in a page are refused by the policy.
  const inline = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.inline = true";
    document.body.append(script);
    return window.inline === true;
  });
  assert.equal(inline, false, "the policy stops a script in a page");
  assert.deepEqual(seen.elsewhere, []);
  const own = seen.errors.filter((text) => !text.includes("script-src 'self'") && !text.includes("404"));
  assert.deepEqual(own, []);
  await context.close();
});

await check("no page scrolls sideways", async () => {
  for (const width of [320, 1440]) {
    const { context, page } = await open({ viewport: { width, height: 800 } });
    for (const address of Object.values(pages)) {
      await page.goto(at(address));
      const wide = await page.evaluate(() => {
        const width = document.documentElement.clientWidth;
        const is = (element) => element.getBoundingClientRect().right > width && !element.closest("pre, thead, .skip");
        const beyond = [...document.querySelectorAll("body *")].filter(is).map((element) => element.outerHTML.slice(0, 100));
        return document.documentElement.scrollWidth > width ? ["it scrolls", ...beyond] : [];
      });
      assert.deepEqual(wide, [], `${address} at ${width} px`);
    }
    await context.close();
  }
});

await check("axe finds no violation, and colours have contrast", async () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [320, 1440]) {
      const { context, page } = await open({ colorScheme, viewport: { width, height: 900 } });
      for (const [name, address] of Object.entries(pages)) {
        await page.goto(at(address));
        await page.evaluate(axe);
        const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations", "incomplete"] }));
        const shown = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`);
        assert.deepEqual(shown, [], `${address}, ${colorScheme}, ${width} px`);
        assert.ok(found.passes.some((one) => one.id === "color-contrast"), `${address}: the contrast was measured`);
        const unsure = found.incomplete.filter((one) => one.id === "color-contrast").flatMap((one) => one.nodes);
        assert.deepEqual(unsure.map((node) => node.html), [], `${address}: the contrast is known everywhere`);
        if (pictures) {
          mkdirSync(pictures, { recursive: true });
          await page.screenshot({ path: path.join(pictures, `${name}-${colorScheme}-${width}.png`), fullPage: true });
        }
      }
      await context.close();
    }
  }
});

await check("the keyboard is enough", async () => {
  const { context, page } = await open();
  await page.goto(base);
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to the content");
  assert.ok((await page.locator(".skip").boundingBox()).x >= 0, "it is seen while it has the focus");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");
  await page.goto(base);
  let presses = 0;
  while ((await focused()) !== "Images" && presses < 10) {
    await page.keyboard.press("Tab");
    presses += 1;
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "the focus is seen");
  await page.keyboard.press("Enter");
  await page.waitForURL(`${base}/images`);
  for (presses = 0; (await page.evaluate(() => document.activeElement.id)) !== "q" && presses < 20; presses += 1) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.type("cernvm 5");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=cernvm/);
  assert.equal(await page.locator("#found-title").textContent(), "1 image");
  for (presses = 0; (await focused()) !== "CernVM 5 minimal" && presses < 30; presses += 1) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL(base + image);
  await context.close();
});

await check("a running download is followed without a reload", async () => {
  const { context, page } = await open();
  await page.goto(base);
  await page.locator("#live-state").getByText("live").waitFor();
  await page.evaluate(() => { window.same = true; });
  console.log("add image");
  const row = page.locator("#running tr", { hasText: "Rocky Linux 9" });
  await row.waitFor();
  const value = () => row.locator("progress").evaluate((bar) => bar.value);
  const shares = new Set();
  while ((await row.count()) > 0 && shares.size < 3) {
    const now = await value().catch(() => null);
    if (now !== null) shares.add(now);
    await page.waitForFunction(
      (last) => document.querySelector("#running")?.textContent !== last,
      await page.locator("#running").textContent(),
    );
  }
  assert.ok(shares.size >= 3, `the bar moves: ${[...shares]}`);
  await row.waitFor({ state: "detached" });
  await page.locator("#counts").getByText("3 Images").waitFor();
  assert.equal(await page.evaluate(() => window.same), true, "the page was never loaded again");
  await context.close();
});

await check("pages work without JavaScript", async () => {
  const { context, page } = await open({ javaScriptEnabled: false });
  for (const address of Object.values(pages)) {
    await page.goto(at(address));
    assert.equal(await page.locator("h1").count(), 1, address);
    assert.equal(await page.locator("[data-copy]:visible").count(), 0, address);
  }
  await page.goto(base + held);
  const bar = page.locator("progress");
  assert.ok(Number(await bar.getAttribute("value")) > 0, "the state of the download is shown");
  await page.getByRole("link", { name: "Load this page again" }).click();
  assert.equal(page.url(), base + held);
  await page.goto(`${base}/images`);
  await page.getByLabel("State").selectOption("working");
  await page.getByRole("button", { name: "Search" }).click();
  assert.equal(await page.locator("#found-title").textContent(), "1 image");
  await context.close();
});

await check("a version is downloaded", async () => {
  const { context, page } = await open({ acceptDownloads: true });
  await page.goto(base + image);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "Download version 1.26-12" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "aaaaaaaa-0000-4000-8000-000000000001-1.26-12.raw");
  assert.equal(readFileSync(await download.path()).length, 1024 * 1024);
  await context.close();
});

await check("the script is shown and copied", async () => {
  const { context, page } = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(base + pages.version);
  await page.getByRole("button", { name: "Copy the script" }).click();
  await page.getByText("Copied.").waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, /^#!\/bin\/sh\n# CernVM 5 minimal, version 1\.26-13\n/);
  assert.ok(copied.includes(base), "it has the address of the pages");
  await context.close();
});

await check("a hostile title stays a title", async () => {
  const { context, page, seen } = await open();
  for (const address of ["/", "/images", held]) {
    await page.goto(at(address));
    assert.equal(await page.evaluate(() => window.harmed), undefined, address);
    assert.equal(await page.locator("main img, main script").count(), 0, address);
    assert.ok((await page.locator("main").textContent()).includes("<script>window.harmed=1</script>\\u{202e}"), address);
  }
  assert.deepEqual(seen.elsewhere, []);
  assert.deepEqual(seen.errors, []);
  await context.close();
});

await check("the token opens the pages", async () => {
  const { context, page } = await open();
  await page.goto(`${guarded}/endorsers`);
  await page.getByLabel("Token").fill("not-the-token-of-it");
  await page.keyboard.press("Enter");
  await page.getByText("This is not the token.").waitFor();
  await page.getByLabel("Token").fill(process.env.PAGES_TOKEN);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(`${guarded}/endorsers`);
  assert.equal(await page.locator("h1").textContent(), "Endorsers");
  assert.equal(await page.evaluate(() => document.cookie), "", "no script can read the session");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.goto(`${guarded}/images`);
  assert.equal(await page.locator("h1").textContent(), "Log in");
  await context.close();
});

await browser.close();
