/** The compiler thread: takes regions, and answers with modules. What has come meanwhile is compiled as one module. */
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { compileSafely } from '../../jit/together.ts'
import type { CompileReply, CompileRequest } from './compile-service.ts'

/** Regions in a module at most: the first waits for the last. */
const BATCH = 8

const port = workerData as MessagePort

port.on('message', (first: CompileRequest) => {
  const requests = [first]
  while (requests.length < BATCH) {
    const more = receiveMessageOnPort(port) as { message: CompileRequest } | undefined
    if (more === undefined) break
    requests.push(more.message)
  }
  const outcomes = compileSafely(requests.map(({ source }) => source))
  port.postMessage(outcomes.map((outcome, n): CompileReply => ({ number: requests[n]?.number ?? 0, outcome })))
})
