// Live figures of running work, and a button that copies the script. Without it the pages show the state of their load.
"use strict";

const stream = document.body.dataset.stream;
const state = document.getElementById("live-state");
let isLoading = false;
let wantsMore = false;

function say(text) {
  if (state && state.textContent !== text) {
    state.hidden = false;
    state.textContent = text;
  }
}

// What a keyboard is on stays so, if the new page has it too.
function findAgain(old) {
  if (!old || !old.getAttribute) return null;
  const address = old.getAttribute("href");
  const links = address ? [...document.querySelectorAll("a[href]")] : [];
  return links.find((link) => link.getAttribute("href") === address) || null;
}

// Takes the parts of the page that can change from the server. All texts are escaped there.
async function load() {
  if (isLoading) {
    wantsMore = true;
    return;
  }
  isLoading = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const focus = document.activeElement;
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (fresh) old.replaceChildren(...document.importNode(fresh, true).childNodes);
    }
    if (focus && !focus.isConnected) findAgain(focus)?.focus();
  } catch {
    say("The page could not be loaded again.");
  } finally {
    isLoading = false;
    if (wantsMore) {
      wantsMore = false;
      load();
    }
  }
}

let known = null;

function show(live) {
  const keys = JSON.stringify(live.works.map((work) => work.key));
  if (known !== null && keys !== known) load();
  known = keys;
  for (const row of document.querySelectorAll("[data-work]")) {
    const work = live.works.find((one) => one.key === row.dataset.work);
    if (!work) continue;
    const bar = row.querySelector("progress");
    if (bar && work.done !== null && work.total !== null) {
      bar.max = work.total;
      bar.value = work.done;
    }
    row.querySelector(".share").textContent = work.share;
    row.querySelector(".amount").textContent = work.amount;
  }
  const queued = document.getElementById("queued");
  if (queued) queued.textContent = live.queued;
  say("The figures of running work are live.");
}

if (stream && window.EventSource) {
  const source = new EventSource(stream);
  source.onmessage = (message) => {
    if (known === null) {
      // Work may have begun or ended since the page was made.
      const rows = [...document.querySelectorAll("#running [data-work]")].map((row) => row.dataset.work);
      if (document.getElementById("running")) known = JSON.stringify(rows);
    }
    show(JSON.parse(message.data));
  };
  source.onerror = () => say("The figures are not live now. The link above loads the page again.");
  window.addEventListener("pagehide", () => source.close());
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const copied = document.getElementById("copied");
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      copied.textContent = "Copied.";
    } catch {
      copied.textContent = "The browser does not allow it: select the text.";
    }
  });
}
