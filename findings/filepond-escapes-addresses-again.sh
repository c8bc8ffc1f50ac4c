#!/usr/bin/env bash
# FilePond 4.32.12 escapes the address that it is told to send to once more, percent signs included, although it is a URL already.
#
# Expected: the file is posted to the address that `server.process` names, /u/a%20b?until=12%3A00 .
# Seen on 2026-11-30, in jsdom 26.1.0 with Node.js 20: it is posted to /u/a%2520b?until=12%253A00 . A signed URL whose query holds
# an escaped character is then another one, which no server of signed URLs takes. FilePond calls encodeURI on every address.
#
# Exits with 0 while that is so, and with 1 when FilePond does anything else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --ignore-scripts --no-audit --no-fund filepond@4.32.12 jsdom@26.1.0 >/dev/null

cat >trial.cjs <<'JS'
const http = require("node:http");
const { readFileSync } = require("node:fs");
const { JSDOM } = require("jsdom");

const server = http.createServer((request, response) => {
  if (request.method === "GET") return response.end("<!doctype html>");
  console.log(request.url);
  request.resume();
  response.end("an id");
  setTimeout(() => process.exit(request.url === "/u/a%2520b?until=12%253A00" ? 0 : 1), 100);
});
server.listen(0, "127.0.0.1", async () => {
  const origin = `http://127.0.0.1:${server.address().port}`;
  const page = await JSDOM.fromURL(`${origin}/`, { runScripts: "outside-only", pretendToBeVisual: true });
  page.window.matchMedia = () => ({ matches: false });
  page.window.CSS = { supports: () => true };
  page.window.URL.createObjectURL = () => "blob:";
  page.window.eval(readFileSync("node_modules/filepond/dist/filepond.js", "utf8"));
  const pond = page.window.FilePond.create({ server: { process: `${origin}/u/a%20b?until=12%3A00` }, instantUpload: true });
  page.window.document.body.append(pond.element);
  pond.addFile(new page.window.File(["bytes"], "a.txt"));
});
setTimeout(() => { console.error("nothing was sent"); process.exit(1); }, 30_000).unref();
JS
node trial.cjs
