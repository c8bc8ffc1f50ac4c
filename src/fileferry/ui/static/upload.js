"use strict";
// Uploads by tus, many at a time. One that was cut goes on by itself; one whose page was closed goes on when its file is chosen again.

(() => {
const form = document.getElementById("upload");
if (!form || !window.tus) return;
const AT_ONCE = 3, FORGET = 7 * 86400e3, STORE = "fileferry-uploads";
const { size } = sending;
const headers = { "Content-Type": "application/json", Accept: "application/json", "X-Form-Token": form.dataset.token };
const element = id => document.getElementById(id);
const queue = [];
let active = 0;

// What this browser has begun: by file, the id of the upload. Its address is asked for anew each time.
function begun() {
  let found = {};
  try { found = JSON.parse(localStorage.getItem(STORE)) || {}; } catch {}
  for (const [print, one] of Object.entries(found)) if (Date.now() - one.at > FORGET) delete found[print];
  return found;
}
function remember(print, one) {
  const found = begun();
  if (one) found[print] = one; else delete found[print];
  try { localStorage.setItem(STORE, JSON.stringify(found)); } catch {}
}

async function ask(address, body) {
  const answer = await fetch(address, { method: body === undefined ? "GET" : "POST", headers, body: body && JSON.stringify(body) })
    .catch(() => { throw Object.assign(new Error("No connection."), { status: 0 }); });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(said.detail || "The server did not take it."), { status: answer.status });
  return said;
}
const passes = error => sending.passes(error.status);

class Transfer {
  constructor(file, path) {
    this.file = file;
    this.path = path;
    this.sent = 0;
    this.state = "waiting";
    this.where = { folder: element("folder").value, place: new FormData(form).get("place") || "folder",
      expires: element("expires").value, workspace: new FormData(form).get("workspace") || "" };
    this.print = [path, file.size, file.lastModified, this.where.workspace, this.where.place, this.where.folder].join("\n");
    this.row = document.createElement("li");
    this.name = this.row.appendChild(document.createElement("span"));
    this.name.textContent = path;
    this.actions = this.row.appendChild(document.createElement("span"));
    this.bar = this.row.appendChild(document.createElement("progress"));
    this.bar.max = file.size || 1;
    this.bar.value = 0;
    this.bar.setAttribute("aria-label", path);
    this.said = this.row.appendChild(document.createElement("small"));
    this.stopper = this.button("Cancel", () => this.cancel());
    element("transfers").append(this.row);
    this.say(`${size(file.size)}, waiting`);
  }
  button(text, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "small";
    made.textContent = text;
    made.append(Object.assign(document.createElement("span"), { className: "unseen", textContent: ` ${this.path}` }));
    made.addEventListener("click", act);
    this.actions.append(made);
    return made;
  }
  say(text, tone) { this.said.textContent = text; this.said.className = tone || "soft"; }
  async begin() {
    this.state = "active";
    try {
      const limit = Number(form.dataset.largest);
      if (this.file.size > limit) throw new Error(`It is larger than the ${size(limit)} that one file may have.`);
      const known = begun()[this.print];
      if (known) this.ticket = await ask(`${form.dataset.tickets}/${known.id}`, {}).catch(error => { if (passes(error)) throw error; return null; });
      if (this.ticket && !this.ticket.url && !["received", "completed"].includes(this.ticket.state)) this.ticket = null;
      if (!this.ticket) {
        this.ticket = await ask(form.dataset.tickets, { path: this.path, size: this.file.size, type: this.file.type, ...this.where });
        remember(this.print, { id: this.ticket.id, path: this.path, at: Date.now() });
      }
      if (this.state !== "active") return;
      if (!this.ticket.url) return this.succeed();
      this.send();
    } catch (error) { if (passes(error) && this.state === "active") this.hold(); else this.fail(error.message); }
  }
  send() {
    this.began = performance.now();
    this.from = null;
    this.upload = new tus.Upload(this.file, {
      uploadUrl: this.ticket.url,
      storeFingerprintForResuming: false,
      retryDelays: sending.retryDelays,
      onShouldRetry: error => {
        this.say(sending.lost, "warn");
        return sending.triesAgain(error);
      },
      onProgress: sent => {
        if (this.from === null) { this.from = sent; this.began = performance.now(); }
        this.sent = sent;
        this.bar.value = sent;
        const speed = (sent - this.from) / Math.max(.2, (performance.now() - this.began) / 1000);
        this.say(`${size(sent)} of ${size(this.file.size)}${speed > 0 ? `, ${size(speed)}/s, ${sending.left((this.file.size - sent) / speed)}` : ""}`);
        total();
      },
      onSuccess: () => this.succeed(),
      onError: error => {
        if (!sending.status(error)) return this.hold();
        this.fail(sending.reason(error));
      },
    });
    this.upload.start();
  }
  // The network is away for long: nothing is lost, and it goes on when that is back.
  hold() {
    this.say(sending.held, "warn");
    this.unhold = sending.whenBack(() => { if (this.state === "active") this.begin(); });
  }
  async cancel() {
    const was = this.state;
    this.state = "cancelled";
    if (this.unhold) this.unhold();
    if (this.upload) await this.upload.abort().catch(() => {});
    if (this.ticket) await ask(`${form.dataset.tickets}/${this.ticket.id}/cancel`, {}).catch(() => {});
    remember(this.print, null);
    this.stopper.remove();
    this.bar.remove();
    this.say("Cancelled.");
    if (was === "active") this.end(); else next();
  }
  fail(reason) {
    if (this.state !== "active") return;
    this.state = "failed";
    remember(this.print, null);
    this.say(reason, "bad");
    this.stopper.remove();
    this.button("Try again", event => { event.target.remove(); this.state = "waiting"; this.ticket = null; this.actions.append(this.stopper); next(); });
    this.end();
  }
  async succeed() {
    this.state = "done";
    this.sent = this.file.size;
    this.bar.value = this.bar.max;
    remember(this.print, null);
    this.stopper.remove();
    const link = document.createElement("a");
    link.href = this.ticket.page;
    link.textContent = this.path;
    this.name.replaceChildren(link);
    this.say("Received.", "good");
    this.end();
    for (let pause = 300; pause < 20000; pause *= 2) {
      const now = await ask(`${form.dataset.files}/${this.ticket.file}/state`).catch(() => null);
      if (now) this.say(`${now.state}. ${size(this.file.size)}`, now.tone);
      if (now && now.settled) {
        if (now.link && navigator.clipboard) this.button("Copy link", () => {}).dataset.copy = now.link;
        return;
      }
      await new Promise(resolve => setTimeout(resolve, pause));
    }
  }
  end() { active--; next(); }
}

function next() {
  for (const one of queue) {
    if (active >= AT_ONCE) break;
    if (one.state === "waiting") { active++; one.begin(); }
  }
  total();
}
function total() {
  const counted = queue.filter(one => one.state !== "cancelled");
  const bytes = counted.reduce((sum, one) => sum + one.file.size, 0), sent = counted.reduce((sum, one) => sum + one.sent, 0);
  const done = counted.filter(one => one.state === "done").length, failed = counted.filter(one => one.state === "failed").length;
  element("all").max = bytes || 1;
  element("all").value = bytes ? sent : done ? 1 : 0;
  const text = `${done} of ${counted.length} files done${failed ? `, ${failed} failed` : ""}`;
  if (element("total").textContent !== text) element("total").textContent = text;
}
function add(files) {
  for (const [file, path] of files) queue.push(new Transfer(file, path));
  element("queue").hidden = !queue.length;
  if (queue.length) element("queue").scrollIntoView({ block: "nearest" });
  next();
}

// A folder that was dropped, with all that is in it.
async function walk(entry, into) {
  if (entry.isFile) {
    into.push([await new Promise((found, failed) => entry.file(found, failed)), entry.fullPath.replace(/^\//, "")]);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((found, failed) => reader.readEntries(found, failed));
    if (!some.length) return;
    for (const one of some) await walk(one, into);
  }
}

const drop = element("drop"), input = element("file"), tree = element("tree");
input.multiple = true;
input.required = false;
element("folders").hidden = element("hint").hidden = false;
element("send").hidden = true;
form.addEventListener("submit", event => event.preventDefault());
for (const chosen of [input, tree]) chosen.addEventListener("change", () => {
  add([...chosen.files].map(file => [file, file.webkitRelativePath || file.name]));
  chosen.value = "";
});
for (const name of ["dragenter", "dragover"]) document.addEventListener(name, event => { event.preventDefault(); drop.classList.add("over"); });
for (const name of ["dragleave", "drop"]) document.addEventListener(name, event => { if (name === "drop" || !event.relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", async event => {
  event.preventDefault();
  const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
  if (!entries.length) return add([...event.dataTransfer.files].map(file => [file, file.name]));
  const found = [];
  for (const entry of entries) await walk(entry, found);
  add(found);
});
document.addEventListener("paste", event => {
  const files = [...event.clipboardData.files];
  if (files.length) add(files.map(file => [file, file.name]));
});
addEventListener("beforeunload", event => { if (active) event.preventDefault(); });

const earlier = Object.values(begun());
element("unfinished").hidden = !earlier.length;
for (const one of earlier) element("earlier").append(Object.assign(document.createElement("li"), { textContent: one.path }));
})();
