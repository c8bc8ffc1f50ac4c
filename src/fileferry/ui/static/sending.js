"use strict";
// What both pages that send files have in common: how sizes and times are said, and how an upload goes on when the network is back.

const sending = {
  size(count) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (count >= 1024 && unit < units.length - 1) { count /= 1024; unit++; }
    return `${unit ? count.toFixed(1) : count} ${units[unit]}`;
  },
  left(seconds) {
    if (!isFinite(seconds)) return "";
    if (seconds < 60) return `${Math.max(1, Math.ceil(seconds))} s left`;
    if (seconds < 3600) return `${Math.ceil(seconds / 60)} min left`;
    return `${(seconds / 3600).toFixed(1)} h left`;
  },
  status: error => error.originalResponse ? error.originalResponse.getStatus() : 0,
  // What the server said of why it took no more.
  reason(error) {
    const answer = error.originalResponse;
    try { return JSON.parse(answer.getBody()).detail; } catch { return `The server said ${answer ? answer.getStatus() : "nothing"}.`; }
  },
  // Whether it may go well at another time: the network is away, or the server is busy.
  passes: status => status === 0 || status === 409 || status === 423 || status === 429 || status >= 500,
  // It is tried again for half a minute. Then, or at once where the browser knows that the network is away, it is held until that is back.
  retryDelays: [0, 1000, 3000, 5000, 10000, 20000],
  triesAgain: error => navigator.onLine !== false && sending.passes(sending.status(error)),
  lost: "The connection is lost; it goes on by itself.",
  held: "No connection. It goes on when that is back.",
  // Runs `again` when the network is back, or may be; returns what gives that up.
  whenBack(again) {
    const stop = () => { clearTimeout(timer); removeEventListener("online", go); };
    const go = () => { stop(); again(); };
    const timer = setTimeout(go, 15000);
    addEventListener("online", go);
    return stop;
  },
};
