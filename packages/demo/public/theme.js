// Sets the theme before the first paint, so that the page does not flash in the other one. It is a separate file, so that a
// Content-Security-Policy can forbid inline scripts.
try {
  const theme = localStorage.getItem('tidings.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage is disabled: the theme of the system applies.
}
