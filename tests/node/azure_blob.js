// @azure/storage-blob at signed URLs. Standard input is not used; the arguments are the name of one act below, a JSON array of
// what it needs, and the folder its files lie in. What comes of it is printed as one JSON object.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AnonymousCredential, BlockBlobClient, newPipeline } from "@azure/storage-blob";

const [act, given, folder] = process.argv.slice(2);

const client = (url) =>
  new BlockBlobClient(url, newPipeline(new AnonymousCredential(), { retryOptions: { maxTries: 1 } }));
const sha256 = (content) => createHash("sha256").update(content).digest("hex");
const outcome = async (call) => {
  try {
    await call();
    return "done";
  } catch (error) {
    return `${error.statusCode} ${error.code ?? error.details.errorCode}`;
  }
};

const acts = {
  async uploads(urls) {
    const file = join(folder, "content");
    const content = await readFile(file);
    const small = { maxSingleShotSize: 64 * 1024, blockSize: 64 * 1024, concurrency: 4 };
    const type = { blobHTTPHeaders: { blobContentType: "application/pdf" } };
    const whole = await client(urls.whole).uploadData(content, type);
    const blocks = await client(urls.blocks).uploadData(content, { ...small, ...type });
    const stream = await client(urls.stream).uploadStream(createReadStream(file), 64 * 1024, 4);
    const path = await client(urls.path).uploadFile(file, small);
    return Object.fromEntries(
      Object.entries({ whole, blocks, stream, path }).map(([name, answer]) => [name, answer._response.status]),
    );
  },

  async downloads({ url }) {
    const blob = client(url);
    const properties = await blob.getProperties();
    const small = { blockSize: 50_000, concurrency: 4 };
    const streamed = [];
    for await (const piece of (await blob.download(0, undefined, { rangeGetContentMD5: false })).readableStreamBody) {
      streamed.push(piece);
    }
    const range = await blob.download(10, 20, { rangeGetContentMD5: true });
    const part = [];
    for await (const piece of range.readableStreamBody) {
      part.push(piece);
    }
    return {
      size: properties.contentLength,
      type: properties.contentType,
      kind: properties.blobType,
      buffer: sha256(await blob.downloadToBuffer(0, undefined, small)),
      stream: sha256(Buffer.concat(streamed)),
      range: Buffer.concat(part).toString("hex"),
      rangeMd5: Buffer.from(range.contentMD5).toString("hex"),
    };
  },

  async refusals({ upload, other }) {
    const blob = client(upload);
    const found = { missing: await outcome(() => blob.getProperties()), exists: await blob.exists() };
    await blob.stageBlock(Buffer.from("01").toString("base64"), "one", 3);
    const staged = await blob.getBlockList("all");
    found.staged = staged.uncommittedBlocks.map(({ name, size }) => [name, size]);
    found.unknown = await outcome(() => blob.commitBlockList([Buffer.from("99").toString("base64")]));
    found.committed = await outcome(() => blob.commitBlockList([Buffer.from("01").toString("base64")]));
    const conditions = { ifNoneMatch: "*" };
    found.conflict = await outcome(() => blob.upload("two", 3, { conditions }));
    found.unreadable = await outcome(() => blob.download());
    found.forged = await outcome(() => client(upload.replace("sig=", "sig=A")).upload("two", 3));
    found.given_up = await outcome(() => client(other).delete());
    return found;
  },
};

console.log(JSON.stringify(await acts[act](JSON.parse(given))));
