// @google-cloud/storage at a signed URL as its session. The arguments are the URL, the file to send, and the options of
// createWriteStream as JSON. What the client makes of the answer is printed as one JSON object.
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { Storage } from "@google-cloud/storage";

const [uri, path, options] = process.argv.slice(2);

// An endpoint of one's own also turns authentication off.
const file = new Storage({ apiEndpoint: new URL(uri).origin }).bucket("b").file("o");
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
