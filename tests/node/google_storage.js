// @google-cloud/storage at a signed URL as its session. The arguments are the URL, the file to send, the options of
// createWriteStream as JSON, and the name that the client is installed by. What it makes of the answer is printed as one JSON object.
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";

const [uri, path, options, name] = process.argv.slice(2);
const { Storage, IdempotencyStrategy } = await import(name);

// An endpoint of one's own also turns authentication off. Without the strategy nothing is ever repeated: a session that was begun
// by others has no precondition.
const retryOptions = process.env.BY_DEFAULT ? {} : { idempotencyStrategy: IdempotencyStrategy.RetryAlways };
const file = new Storage({ apiEndpoint: new URL(uri).origin, retryOptions }).bucket("any").file("any");
const progress = [];
try {
  const stream = file.createWriteStream({ uri, resumable: true, ...JSON.parse(options) });
  stream.on("progress", ({ bytesWritten }) => progress.push(bytesWritten));
  await pipeline(createReadStream(path), stream);
  const { size, crc32c, md5Hash, contentType, generation } = file.metadata;
  console.log(JSON.stringify({ size, crc32c, md5Hash, contentType, generation, sent: progress.at(-1) }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error.message), code: error.code ?? null }));
}
