// Reads records with llhttp, as Node.js has it inside, and says what it saw, in the words of curfew.c. The last entry is
// "refused CODE", or "end". The first line names the version of llhttp.
'use strict';
const fs = require('fs');
const { HTTPParser } = require('_http_common');
// Those that llhttp knows beyond Node's own are in a list that is not public.
const binding = process.binding('http_parser');
const methods = binding.allMethods || binding.methods;

const HEADERS = HTTPParser.kOnHeaders | 0;
const HEADERS_COMPLETE = HTTPParser.kOnHeadersComplete | 0;
const BODY = HTTPParser.kOnBody | 0;
const MESSAGE_COMPLETE = HTTPParser.kOnMessageComplete | 0;

const hex = (text) => Buffer.from(text, 'latin1').toString('hex');

function fieldLines(list) {
  let lines = '';
  for (let i = 0; i < list.length; i += 2)
    lines += `${list[i]}:${list[i + 1].replace(/[ \t]+$/, '')}\n`;
  return hex(lines);
}

class Reader {
  constructor(record) {
    this.record = record;
    this.out = '';
    this.fed = this.finalResponses = 0;
    this.parser = new HTTPParser();
    this.parser.initialize(record.responses ? HTTPParser.RESPONSE : HTTPParser.REQUEST, {});
    this.parser[HEADERS] = (list, url) => {
      if (!this.inContent) this.url += url;
      (this.inContent ? this.trailers : this.fields).push(...list);
    };
    this.parser[HEADERS_COMPLETE] = (...args) => this.headIsWhole(...args);
    this.parser[BODY] = (bytes, start, len) => this.contentComes(bytes, start, len);
    this.parser[MESSAGE_COMPLETE] = () => this.messageEnds();
    this.begin();
  }

  begin() {
    this.fields = [];
    this.trailers = [];
    this.url = '';
    this.content = '';
    this.inContent = this.handedOver = false;
  }

  headIsWhole(major, minor, list, method, url, code, reason, upgrade, keepAlive) {
    const { record } = this;
    if (list) this.fields.push(...list);
    if (url) this.url += url;
    this.code = code;
    this.words = [record.responses ? code : methods[method], Math.min(minor, 1), keepAlive ? 1 : 0,
      record.responses ? '' : hex(this.url)].join();
    this.inContent = true;
    this.handedOver = upgrade;
    // As Node's own client says: this response has no content, whatever its fields say.
    return record.responses && (code === 304 || record.methods[this.finalResponses] === 'H') ? 1 : 0;
  }

  contentComes(bytes, start, len) {
    this.content += (start === undefined ? bytes : bytes.subarray(start, start + len)).toString('hex');
  }

  put(end) {
    this.out += `${end},${this.words},${fieldLines(this.fields)},${this.content},${fieldLines(this.trailers)}/`;
  }

  messageEnds() {
    this.put(this.fed);
    if (this.record.responses && this.code >= 200) this.finalResponses++;
    const { handedOver } = this;
    this.begin();
    this.handedOver = handedOver;
  }

  // Why it reads no further, or "".
  feed(end) {
    const start = this.fed;
    this.fed = end;
    const result = this.parser.execute(this.record.bytes.subarray(start, end));
    if (this.handedOver) return 'UPGRADE';
    return result instanceof Error ? result.code.replace('HPE_', '') : '';
  }

  read() {
    const { cuts, bytes } = this.record;
    let why = '';
    for (const cut of [...cuts, bytes.length])
      if (cut > this.fed && !why) why = this.feed(cut);
    if (!why && this.inContent) this.parser.finish(); // the end may be the content's
    if (!why && this.inContent) this.put('-');
    this.parser.close();
    return this.out + (why ? `refused ${why}` : 'end');
  }
}

function* records(all) {
  for (let at = 0; at < all.length;) {
    const cutCount = all[at + 1], methodCount = all.readUInt16LE(at + 2), len = all.readUInt32LE(at + 4);
    const record = { responses: all[at] === 'S'.charCodeAt(0), cuts: [] };
    at += 8;
    for (let i = 0; i < cutCount; i++, at += 4) record.cuts.push(all.readUInt32LE(at));
    record.methods = all.toString('latin1', at, at += methodCount);
    record.bytes = all.subarray(at, at += len);
    yield record;
  }
}

const lines = [`llhttp ${process.versions.llhttp}`];
for (const record of records(fs.readFileSync(0))) lines.push(new Reader(record).read());
fs.writeFileSync(1, `${lines.join('\n')}\n`);
