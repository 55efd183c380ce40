"""Methods that describe this host (processes, sockets, disks), built on psutil, with secrets masked."""
