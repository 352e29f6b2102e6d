/** The `kind` of the tasks that answer questions. */
export const answerKind = 'answer'

/**
 * Asks the demo server to answer `question` as a task of the signed-in member.
 *
 * @returns the id of the task, or undefined when the request failed.
 */
export async function postDemoAsk(question: string): Promise<string | undefined> {
  try {
    const response = await fetch('/demo/ask', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ question }),
    })
    if (!response.ok) return undefined
    const { taskId } = (await response.json()) as { taskId: string }
    return taskId
  } catch {
    return undefined
  }
}
