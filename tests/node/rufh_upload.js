// tus-js-client speaking a version of the IETF draft to signed URLs. The arguments are the protocol's name, a file, and a JSON
// object of URLs by what is to be done with each. What came of it is printed as one JSON object.
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { PassThrough } from "node:stream";
import { Upload } from "tus-js-client";

const [protocol, path, given] = process.argv.slice(2);
const urls = JSON.parse(given);
const content = await readFile(path);
const CHUNK = 100_000;
// Of a file's own stream the client believes to know the length, and announces more than is left of it.
const stream = () => createReadStream(path).pipe(new PassThrough());

const upload = (source, options) =>
  new Promise((resolve, reject) => {
    const methods = [];
    const running = new Upload(source, {
      protocol,
      retryDelays: [],
      metadata: { filename: "a.bin" },
      onBeforeRequest: (request) => methods.push(request.getMethod()),
      onSuccess: ({ lastResponse }) =>
        resolve({ methods, url: running.url, status: lastResponse.getStatus(), body: lastResponse.getBody() }),
      onError: reject,
      ...options,
    });
    running.start();
  });

const abortedAfter = (chunks, options) =>
  new Promise((resolve, reject) => {
    let done = 0;
    const running = new Upload(content, {
      protocol,
      retryDelays: [],
      chunkSize: CHUNK,
      onChunkComplete: () => {
        done += 1;
        if (done === chunks) running.abort().then(() => resolve(running.url), reject);
      },
      onError: reject,
      ...options,
    });
    running.start();
  });

const acts = {
  whole: (endpoint) => upload(content, { endpoint }),
  chunks: (endpoint) => upload(content, { endpoint, chunkSize: CHUNK }),
  withCreation: (endpoint) => upload(content, { endpoint, uploadDataDuringCreation: true }),
  withCreationInChunks: (endpoint) =>
    upload(content, { endpoint, uploadDataDuringCreation: true, chunkSize: CHUNK }),
  override: (endpoint) => upload(content, { endpoint, overridePatchMethod: true, chunkSize: CHUNK }),
  stream: (endpoint) =>
    upload(stream(), { endpoint, uploadLengthDeferred: true, chunkSize: CHUNK }),
  empty: (endpoint) => upload(Buffer.alloc(0), { endpoint }),
  resumed: async (endpoint) => {
    const uploadUrl = await abortedAfter(2, { endpoint });
    return upload(content, { uploadUrl, chunkSize: CHUNK });
  },
  readyMade: (uploadUrl) => upload(content, { uploadUrl }),
  terminated: async (endpoint) => {
    const url = await abortedAfter(1, { endpoint });
    await Upload.terminate(url, { protocol, retryDelays: [] });
    return { url };
  },
};

const outcome = {};
for (const [act, url] of Object.entries(urls)) {
  outcome[act] = await acts[act](url).catch((error) => {
    throw new Error(`${act}: ${error.message}`);
  });
}
console.log(JSON.stringify(outcome));
