/** The `kind` of the tasks that answer questions. */
export const answerKind = 'answer'

/** Has the local producer answer the member who is signed in. Answers the task's id; undefined when it could not be asked. */
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
