export * from './channel.ts'
export * from './close.ts'
export * from './destination.ts'
export { documentedAs } from './documented-as.ts'
export * from './limit.ts'
export * from './member-id.ts'
export * from './message.ts'
export * from './parse-member-id.ts'
export * from './position.ts'
export * from './publication.ts'
export * from './push.ts'
export * from './revocation.ts'
export { escapeHeader } from './stomp/escape.ts'
export {
  type ClientCommand,
  clientCommands,
  type Frame,
  FrameError,
  type FrameErrorCode,
  type ServerCommand,
  type StompHeaders,
  serverCommands,
} from './stomp/frame.ts'
export * from './stomp/format-frame.ts'
export * from './stomp/frame-decoder.ts'
export * from './stomp/heart-beat.ts'
export * from './stomp/version.ts'
export * from './task-message.ts'
export * from './task-state.ts'
export * from './topic.ts'
export { parseTraceparent, traceIdOf, tracedBody } from './traceparent.ts'
