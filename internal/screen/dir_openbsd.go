package screen

// commandDir is where commands are run: here where this process is. The one that runs them is in / already, and unveil(2) lets it go there no more.
const commandDir = ""
