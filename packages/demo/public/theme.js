// Before the first paint, so that a chosen theme never flashes as the other one. A file of its own: the page needs no inline script.
try {
  const theme = localStorage.getItem('tidings.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage is switched off: the system's theme it is.
}
