"use strict";
// Sends the files of a request by tus: several at once, going on after a cut and after the page was closed.

const form = document.getElementById("send");
const list = document.getElementById("transfers");
const told = document.getElementById("told");
const arrived = document.getElementById("arrived");
const AT_ONCE = 3;
const STATES = {
  ready: ["good", "Arrived"],
  rejected: ["bad", "Refused"],
  gone: ["soft", "Arrived, and taken away since"],
};
const waiting = [];
let running = 0;

function make(name, text, kind) {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

// Names go into the page as text, never as markup.
function row(file) {
  const item = make("li");
  const state = make("small", "Waiting", "soft");
  const bar = make("progress");
  bar.max = Math.max(1, file.size);
  bar.value = 0;
  bar.setAttribute("aria-label", `Progress of ${file.name}`);
  const cancel = make("button", "Cancel", "small");
  cancel.type = "button";
  cancel.append(make("span", ` ${file.name}`, "unseen"));
  item.append(make("span", file.name), cancel, bar, state);
  list.append(item);
  list.hidden = false;
  return { item, state, bar, cancel };
}

function fail(shown, text) {
  shown.state.textContent = text;
  shown.state.className = "state bad";
  shown.cancel.remove();
  shown.bar.remove();
  told.textContent = `${shown.item.firstChild.textContent}: ${text}`;
}

function add(file) {
  const shown = row(file);
  if (file.size > Number(form.dataset.largest)) return fail(shown, `Too large: ${sending.size(file.size)}, and at most ${sending.size(Number(form.dataset.largest))} are taken.`);
  let began = 0, before = 0, unhold = () => {};
  const warn = text => { shown.state.textContent = text; shown.state.className = "warn"; };
  const upload = new tus.Upload(file, {
    endpoint: new URL(form.dataset.endpoint, location.href).href,
    chunkSize: 64 * 1024 * 1024,
    retryDelays: sending.retryDelays,
    onShouldRetry(error) {
      warn(sending.lost);
      return sending.triesAgain(error);
    },
    removeFingerprintOnSuccess: true,
    metadata: { filename: file.name, filetype: file.type },
    onProgress(sent, all) {
      if (!began) { began = performance.now(); before = sent; }
      const rate = (sent - before) / ((performance.now() - began) / 1000);
      shown.bar.value = sent;
      const speed = rate > 0 && sent < all ? `, ${sending.size(Math.round(rate))}/s, ${sending.left((all - sent) / rate)}` : "";
      shown.state.textContent = `${sending.size(sent)} of ${sending.size(all)}${speed}`;
      shown.state.className = "soft";
    },
    onError(error) {
      if (!sending.status(error)) {
        warn(sending.held);
        began = 0;
        unhold = sending.whenBack(() => upload.start());
        return;
      }
      done();
      fail(shown, sending.reason(error));
    },
    onSuccess() {
      done();
      shown.item.remove();
      list.hidden = !list.children.length;
      told.textContent = `${file.name} has arrived.`;
      refresh();
    },
  });
  let isRunning = false;
  function done() { if (isRunning) { isRunning = false; running -= 1; next(); } }
  shown.cancel.addEventListener("click", () => {
    const place = waiting.indexOf(start);
    if (place >= 0) waiting.splice(place, 1);
    unhold();
    upload.abort(true).catch(() => {});
    done();
    shown.item.remove();
    list.hidden = !list.children.length;
    told.textContent = `${file.name} is not sent.`;
  });
  async function start() {
    isRunning = true;
    const earlier = await upload.findPreviousUploads();
    if (earlier.length) upload.resumeFromPreviousUpload(earlier[0]);
    upload.start();
  }
  waiting.push(start);
}

function next() {
  while (running < AT_ONCE && waiting.length) { running += 1; waiting.shift()(); }
}

async function refresh() {
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer || !answer.ok) return;
  const { files } = await answer.json();
  const items = document.getElementById("arrived-list");
  items.replaceChildren(...files.map(file => {
    const [tone, text] = STATES[file.status] || ["warn", "Arrived, being checked"];
    const item = make("li");
    item.append(make("span", file.name), make("span", text, `state ${tone}`));
    if (file.size !== null) item.append(make("small", sending.size(file.size), "soft"));
    return item;
  }));
  arrived.hidden = !files.length;
  if (files.some(file => file.status === "processing")) setTimeout(refresh, 2000);
}

function take(files) {
  for (const file of files) add(file);
  next();
}

if (form && window.tus && tus.isSupported) {
  const input = document.getElementById("files");
  document.getElementById("send-button").hidden = true;
  document.getElementById("hint").textContent = "choose, or drop them here; an upload that was cut goes on when you choose the file again";
  input.addEventListener("change", () => { take([...input.files]); input.value = ""; });
  form.addEventListener("submit", event => { event.preventDefault(); take([...input.files]); form.reset(); });
  for (const name of ["dragover", "dragleave", "drop"]) form.addEventListener(name, event => {
    event.preventDefault();
    form.classList.toggle("over", name === "dragover");
    if (name === "drop") take([...event.dataTransfer.files]);
  });
  addEventListener("paste", event => { if (event.clipboardData.files.length) take([...event.clipboardData.files]); });
  addEventListener("beforeunload", event => { if (running) event.preventDefault(); });
}
