// A gRPC caller: client.mjs GRPC_JS TARGET METHOD KIND DEADLINE_MS. Prints a line of JSON: code, details, messages that came.
import { pathToFileURL } from 'node:url'

const [grpcJs, target, method, kind, deadline] = process.argv.slice(2)
const { default: grpc } = await import(pathToFileURL(`${grpcJs}/build/src/index.js`))
const bytes = value => value
const client = new grpc.Client(target, grpc.credentials.createInsecure())
const options = { deadline: Date.now() + Number(deadline) }
const metadata = new grpc.Metadata()
let messages = 0

function finish(error) {
  console.log(JSON.stringify({ code: error?.code ?? 0, details: error?.details ?? '', messages }))
  process.exit(0)
}

function answered(error, value) {
  messages += value ? 1 : 0
  finish(error)
}

function upload(call) {
  call.write(Buffer.from('one'))
  if (kind.endsWith('-open')) return
  call.write(Buffer.from('two'))
  call.end()
}

function read(call) {
  call.on('data', () => { messages += 1 })
  call.on('error', finish)
  call.on('status', status => { if (status.code === 0) finish() })
}

switch (kind.split('-')[0]) {
  case 'unary': client.makeUnaryRequest(method, bytes, bytes, Buffer.from('one'), metadata, options, answered); break
  case 'server': read(client.makeServerStreamRequest(method, bytes, bytes, Buffer.from('one'), metadata, options)); break
  case 'client': upload(client.makeClientStreamRequest(method, bytes, bytes, metadata, options, answered)); break
  default: {
    const call = client.makeBidiStreamRequest(method, bytes, bytes, metadata, options)
    read(call)
    upload(call)
  }
}
