// tus-js-client at signed URLs and at an endpoint. The arguments are the name of one act below, a JSON object of what it needs,
// and the file to send. What comes of it is printed as one JSON object.
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { PassThrough } from "node:stream";
import * as tus from "tus-js-client";

const [act, given, file] = process.argv.slice(2);
const content = await readFile(file);
const plain = { chunkSize: 100_000, retryDelays: null, metadata: { filename: "clip.bin" } };

// Not a stream of a file: for the last piece of one, the client announces more bytes than there are.
const stream = () => createReadStream(file).pipe(new PassThrough());

const run = (source, options, answers = []) =>
  new Promise((resolve, reject) => {
    const upload = new tus.Upload(source, {
      ...plain,
      ...options,
      onAfterResponse: (request, answer) => answers.push([request.getMethod(), answer.getStatus()]),
      onSuccess: () => resolve({ url: upload.url, answers }),
      onError: reject,
    });
    upload.start();
  });

const acts = {
  async uploads({ endpoints, headers }) {
    const sending = {
      whole: [content, { chunkSize: Infinity }],
      pieces: [content, {}],
      stream: [stream(), { uploadSize: content.length }],
      deferred: [stream(), { uploadLengthDeferred: true }],
      parallel: [content, { parallelUploads: 3 }],
      overridden: [content, { overridePatchMethod: true }],
      withCreation: [content, { uploadDataDuringCreation: true }],
    };
    const made = {};
    for (const [name, [source, options]] of Object.entries(sending)) {
      made[name] = (await run(source, { endpoint: endpoints[name], headers, ...options })).url;
    }
    return made;
  },

  async resume({ url }) {
    await new Promise((resolve, reject) => {
      const upload = new tus.Upload(content, {
        ...plain,
        uploadUrl: url,
        onChunkComplete: () => upload.abort().then(resolve, reject),
        onError: reject,
      });
      upload.start();
    });
    return run(content, { uploadUrl: url });
  },

  async terminate({ endpoint }) {
    return new Promise((resolve, reject) => {
      const upload = new tus.Upload(content, {
        ...plain,
        endpoint,
        onChunkComplete: () => upload.abort(true).then(() => resolve({ url: upload.url }), reject),
        onError: reject,
      });
      upload.start();
    });
  },

  async refused({ endpoint }) {
    const error = await run(content, { endpoint }).catch((caught) => caught);
    return { status: error.originalResponse.getStatus() };
  },

  async repeated({ endpoint }) {
    const answers = [];
    const error = await run(content, { endpoint, retryDelays: [0, 10] }, answers).catch((caught) => caught);
    return { answers, status: error.originalResponse.getStatus() };
  },
};

console.log(JSON.stringify(await acts[act](JSON.parse(given))));
