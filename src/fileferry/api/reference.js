"use strict";
// Searching among the calls of the page, and sending one. The key stays in its field: nothing keeps it.
const byId = (id) => document.getElementById(id);
const LONGEST_SHOWN = 65536;

byId("search").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const call of document.querySelectorAll(".call")) {
    const said = call.textContent.toLowerCase();
    call.hidden = !words.every((word) => said.includes(word));
  }
  let found = false;
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector(".call:not([hidden])");
    found ||= !section.hidden;
  }
  byId("nothing").hidden = found;
});

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const shown = form.querySelector("pre");
  shown.hidden = false;
  shown.textContent = "…";
  try {
    const answer = await fetch(...requestOf(form));
    const head = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    const body = (await answer.text()).slice(0, LONGEST_SHOWN);
    shown.textContent = `${answer.status} ${answer.statusText}\n${head}\n\n${body}`;
  } catch (error) {
    shown.textContent = `Not sent: ${error.message}`;
  }
});

function requestOf(form) {
  const headers = new Headers();
  const query = new URLSearchParams();
  let path = form.dataset.path;
  for (const field of form.querySelectorAll("[data-in]")) {
    if (field.dataset.in === "path") {
      path = path.replace(`{${field.name}}`, field.value.split("/").map(encodeURIComponent).join("/"));
    } else if (field.value && field.dataset.in === "query") {
      query.append(field.name, field.value);
    } else if (field.value && field.dataset.in === "header") {
      headers.set(field.name, field.value);
    }
  }
  if ("keyed" in form.dataset && byId("key").value) {
    headers.set("Authorization", `Bearer ${byId("key").value}`);
  }
  const asked = String(query);
  const options = { method: form.dataset.method, headers, body: bodyOf(form, headers), credentials: "omit" };
  return [document.body.dataset.base + path + (asked ? `?${asked}` : ""), options];
}

function bodyOf(form, headers) {
  const { body, form: sent, bytes } = form.elements;
  if (body && body.value.trim()) {
    headers.set("Content-Type", "application/json");
    return body.value;
  }
  if (sent && sent.files[0]) {
    const data = new FormData();
    data.append("file", sent.files[0]);
    return data;
  }
  return bytes && bytes.files[0] ? bytes.files[0] : undefined;
}
