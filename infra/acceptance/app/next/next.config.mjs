export default { output: 'export', basePath: '/next', trailingSlash: true, turbopack: { root: import.meta.dirname } }
