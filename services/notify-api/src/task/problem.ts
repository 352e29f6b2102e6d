import { Problem } from '../http/problem.ts'

export function noSuchTask(): Problem {
  return new Problem('not-found', 'There is no such task.', {
    errors: [{ in: 'path', pointer: '#/id', detail: 'is no task, or not one of this member' }],
  })
}

export function taskOver(taskStatus: string): Problem {
  return new Problem('task-over', `The task is ${taskStatus}.`, { extension: { taskStatus } })
}

export function taskExists(): Problem {
  return new Problem('task-exists', 'A task with this id exists, for another member or of another kind.', {
    errors: [{ in: 'body', pointer: '#/taskId', detail: 'is taken' }],
  })
}

export function textOffset(textBytes: number): Problem {
  return new Problem('text-offset', `The text of the task has ${textBytes} bytes: go on from there.`, {
    errors: [{ in: 'query', pointer: '#/offset', detail: `must be ${textBytes}` }],
    extension: { textBytes },
  })
}

export function taskLimit(limit: string, textBytes: number): Problem {
  return new Problem('task-limit', `This would pass ${limit}. The text of the task has ${textBytes} bytes.`, {
    extension: { limit, textBytes },
  })
}

const earlyCancelRetrySeconds = 60

export function tooManyEarlyCancels(): Problem {
  return new Problem('rate-limited', 'There is no such task, and too many cancels of this member are waiting for theirs.', {
    errors: [{ in: 'path', pointer: '#/id', detail: 'is no task' }],
    headers: { 'retry-after': String(earlyCancelRetrySeconds) },
  })
}
