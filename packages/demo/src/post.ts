/** Result of a request to the demo server. The text of a refusal is missing when there was no response. */
export type PostResult<T> = { readonly body: T } | { readonly refusal: string | undefined }

/** Posts JSON to the demo server. It does not reject. */
export async function post<T>(path: string, request: object): Promise<PostResult<T>> {
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    })
    const body = (await response.json()) as T & { readonly detail?: string; readonly title: string }
    return response.ok ? { body } : { refusal: body.detail ?? body.title }
  } catch {
    return { refusal: undefined }
  }
}
