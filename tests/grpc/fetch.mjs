// A GET over HTTP/2 by TLS, of fetch: fetch.mjs UNDICI URL CA_FILE. Prints a line of JSON: status, bytes that came, whether they came to an end.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const [undici, url, ca] = process.argv.slice(2)
const { default: { Agent, fetch } } = await import(pathToFileURL(`${undici}/index.js`))
const dispatcher = new Agent({ allowH2: true, connect: { ca: readFileSync(ca) } })
const said = { status: 0, bytes: 0, whole: false }
try {
  const response = await fetch(url, { dispatcher })
  said.status = response.status
  for await (const part of response.body) said.bytes += part.length
  said.whole = true
} catch {
}
console.log(JSON.stringify(said))
process.exit(0)
