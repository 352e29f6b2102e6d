/** Announces each task of the member when it starts and when it finishes. */
export const taskAnnouncementDestination = '/member/queue/task'
/** With a task's id appended: the events of that task. */
export const taskPrefix = `${taskAnnouncementDestination}.`
