// A @tus/server as its own documentation sets it up: the disk store, one process.
// Arguments: the port and the folder of the files.
import { createServer } from 'node:http'
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'

// 2.4.5 throws outside of any request when a client hangs up on an answer, as the load does at its end; without this it exits.
process.on('uncaughtException', (error) => console.error(error))

const [port, directory] = process.argv.slice(-2)
const tus = new Server({ path: '/files', datastore: new FileStore({ directory }) })
createServer((request, response) => tus.handle(request, response)).listen(Number(port), '127.0.0.1')
