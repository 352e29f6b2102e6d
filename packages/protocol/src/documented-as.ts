import type { z } from 'zod'

/**
 * Schemas that the OpenAPI document of notify-api describes by another one, which accepts the same JSON. A union of objects suits generators
 * of clients, and one object suits the messages of refusals.
 */
export const documentedAs = new Map<z.ZodType, z.ZodType>()
