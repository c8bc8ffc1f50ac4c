#!/usr/bin/env bash
# blueimp-file-upload 10.32.0 says that it works with jQuery >= 1.7, and cannot send a file with jQuery 4.0.0.
#
# Expected: with the jQuery that npm picks by the package's own range, a file that is added is sent.
# Seen on 2026-11-30, in jsdom 26.1.0 with Node.js 20: "$.isArray is not a function", while the plugin is loaded. jQuery 4 has dropped
# $.isArray and $.type, which the plugin and the jQuery UI widget that comes with it call. With jQuery 3.7.1 the same page sends the file.
#
# Exits with 0 while that is so, and with 1 when either of the two does anything else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --ignore-scripts --no-audit --no-fund \
  blueimp-file-upload@10.32.0 jquery@4.0.0 jquery3@npm:jquery@3.7.1 jsdom@26.1.0 >/dev/null

cat >trial.cjs <<'JS'
const { readFileSync } = require("node:fs");
const { JSDOM } = require("jsdom");

function trial(jquery) {
  const page = new JSDOM("<!doctype html><input id=pick type=file>", { runScripts: "outside-only", url: "http://127.0.0.1/" });
  let outcome = "nothing was sent";
  page.window.XMLHttpRequest = class {
    upload = {};
    open() {}
    setRequestHeader() {}
    send() { outcome = "sent"; }
  };
  const plugin = "blueimp-file-upload/js";
  try {
    for (const path of [`${jquery}/dist/jquery.js`, `${plugin}/vendor/jquery.ui.widget.js`, `${plugin}/jquery.fileupload.js`]) {
      page.window.eval(readFileSync(`node_modules/${path}`, "utf8"));
    }
    page.window.$("#pick").fileupload({ url: "/" });
    page.window.$("#pick").fileupload("add", { files: [new page.window.File(["bytes"], "a.txt")] });
  } catch (error) {
    outcome = error.message;
  }
  console.log(`${jquery}: ${outcome}`);
  return outcome;
}

const range = JSON.parse(readFileSync("node_modules/blueimp-file-upload/package.json", "utf8")).peerDependencies.jquery;
const isSo = range === ">=1.7" && /\$\.(isArray|type) is not a function/.test(trial("jquery")) && trial("jquery3") === "sent";
process.exit(isSo ? 0 : 1);
JS
node trial.cjs
