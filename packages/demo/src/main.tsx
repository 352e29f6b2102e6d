import { createRoot } from 'react-dom/client'
import { installLine } from './break/line.ts'
import { Page } from './page/page.tsx'
import './style/token.css'
import './style/base.css'
import './style/control.css'

// Before anything connects.
installLine()
const root = document.getElementById('root')
if (root) createRoot(root).render(<Page />)
