"""Takes from a process what student code must not do: Linux's own means, by system call. Knows nothing of tito.

`confine_files` (Landlock) leaves only named files and folders. `drop_privileges` gives up capabilities for good.
`confine_calls` (a seccomp filter) leaves threads, memory and files, and takes processes, signals to others, sockets,
and every call by which a process looks into another one or at the kernel. What is taken cannot be had back.
"""

import ctypes
import errno
import os
import platform
import stat
import struct
import sys

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47


class Unguarded(OSError):
    """A guard that was asked for does not hold on this machine."""


def prctl(option, value=0, more=0):
    # c_ulong, because a plain Python integer travels as an int of 32 bits
    _checked(_libc().prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(more), 0, 0), f"prctl({option})")


def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _checked(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise Unguarded(number, f"{what}: {os.strerror(number)}")
    return result


# --- privileges ---


def drop_privileges():
    """Give up every capability, also those that starting a program could bring back."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except Unguarded:  # there is no such capability, or none that would allow this
            break
    prctl(PR_CAP_AMBIENT, 4)
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    _checked(_libc().capset(header, none), "capset")


# --- files: Landlock ---

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG, _MAKE_FIFO, _MAKE_SYM, _REFER, _TRUNCATE = (1 << bit for bit in (7, 8, 10, 12, 13, 14))
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_WRITE = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_FIFO | _MAKE_SYM | _REFER | _TRUNCATE
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many of the rights each version of Landlock knows


def landlock_version():
    """Of the kernel's Landlock; 0 where there is none."""
    return max(0, _libc().syscall(_CREATE_RULESET, None, 0, 1)) if LINUX else 0


def confine_files(read=(), look=(), write=()):
    """From now on open only what lies below these paths: to read, only to list, to read and write.

    Raises: Unguarded.
    """
    version = landlock_version()
    if not version:
        raise Unguarded(errno.ENOSYS, "this kernel has no Landlock")
    known = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    handled = [known, *([0b11] if version >= 4 else []), *([0b11] if version >= 6 else [])]  # files, TCP, signals
    attributes = struct.pack(f"{len(handled)}Q", *handled)
    ruleset = _checked(_libc().syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0), "Landlock")
    for paths, rights in ((read, _READ), (look, _READ_DIR), (write, _READ | _WRITE)):
        for path in paths:
            _allow(ruleset, path, rights & known)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    _checked(_libc().syscall(_RESTRICT_SELF, ruleset, 0), "Landlock")
    os.close(ruleset)


def _allow(ruleset, path, rights):
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _OF_A_FILE
        rule = struct.pack("=Qi", rights, handle)
        _checked(_libc().syscall(_ADD_RULE, ruleset, 1, rule, 0), f"Landlock: {path}")
    finally:
        os.close(handle)


# --- calls: seccomp ---

# name: (number on x86_64, on aarch64)
_TAKEN = {
    # other processes
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "move_pages": (279, 239),
    "migrate_pages": (256, 238), "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "sched_setattr": (314, 274), "sched_setaffinity": (203, 122),
    # sockets
    "socket": (41, 198), "socketpair": (53, 199), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242), "connect": (42, 203), "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211),
    "recvmsg": (47, 212), "sendmmsg": (307, 269), "recvmmsg": (299, 243),
    # memory that outlives its process, or counts for none
    "shmget": (29, 194), "shmctl": (31, 195), "shmat": (30, 196), "semget": (64, 190), "semctl": (66, 191),
    "semop": (65, 193), "semtimedop": (220, 192), "msgget": (68, 186), "msgctl": (71, 187), "msgrcv": (70, 188),
    "msgsnd": (69, 189), "mq_open": (240, 180), "mq_unlink": (241, 181), "mq_timedsend": (242, 182),
    "mq_timedreceive": (243, 183), "mq_notify": (244, 184), "mq_getsetattr": (245, 185),
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # the view of the file system
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "statmount": (457, 457), "listmount": (458, 458), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "mknod": (133, None), "mknodat": (259, 33), "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263), "quotactl": (179, 60), "quotactl_fd": (443, 443), "lookup_dcookie": (212, 18),
    # the kernel and the machine
    "perf_event_open": (298, 241), "bpf": (321, 280), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "personality": (135, 92), "reboot": (169, 142),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "delete_module": (176, 106),
    "finit_module": (313, 273), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116),
    "sethostname": (170, 161), "setdomainname": (171, 162), "iopl": (172, None), "ioperm": (173, None),
    "modify_ldt": (154, None), "vhangup": (153, 58), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "nfsservctl": (180, 42), "uselib": (134, None),
    "ustat": (136, None), "sysfs": (139, None), "_sysctl": (156, None),
}  # fmt: skip
_CONDITIONAL = {
    "clone": (56, 220), "clone3": (435, 435), "kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261),
    "fcntl": (72, 25), "ioctl": (16, 29),
}  # fmt: skip
_LAST_KNOWN = 466
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CLONE_THREAD, _CLONE_NAMESPACES = 0x00010000, 0x7E020080
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _F_SETLEASE, _F_NOTIFY = 8, 10, 15, 1024, 1026  # each sends signals, to anyone
_FIOSETOWN, _SIOCSPGRP, _FIOASYNC, _TIOCSTI = 0x8901, 0x8902, 0x5452, 0x5412

_LOAD, _EQUAL, _GREATER, _AND, _RETURN = 0x20, 0x15, 0x25, 0x54, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where they stand in what the filter sees


def calls_can_be_confined():
    return LINUX and sys.byteorder == "little" and platform.machine() in _ARCHITECTURES


def confine_calls():
    """From now on refuse the calls above, for this process and all its threads. Raises: Unguarded."""
    if not calls_can_be_confined():
        raise Unguarded(errno.ENOSYS, f"no filter of system calls is known for {sys.platform} {platform.machine()}")
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    program = b"".join(
        struct.pack("=HBBI", *step) for step in _filter(*_ARCHITECTURES[platform.machine()], os.getpid())
    )
    steps = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps))
    pointed_to = ctypes.create_string_buffer(header, len(header))
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(pointed_to))


def _filter(column, architecture, own):
    """Steps of the filter: `(code, steps to skip if so, if not, value)`."""
    yield from ((_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL))
    yield from ((_LOAD, 0, 0, _NUMBER), (_GREATER, 0, 1, _LAST_KNOWN), _refuse(errno.ENOSYS))
    for numbers in _TAKEN.values():
        if numbers[column] is not None:
            yield from ((_EQUAL, 0, 1, numbers[column]), _refuse(errno.EPERM))
    number = {name: numbers[column] for name, numbers in _CONDITIONAL.items()}
    yield from _when(number["clone3"], [_refuse(errno.ENOSYS)])  # its flags cannot be seen; glibc then calls clone
    yield from _when(number["clone"], _only_if(0, [_CLONE_THREAD], _CLONE_THREAD | _CLONE_NAMESPACES))
    yield from _when(number["kill"], _only_if(0, [own]))
    yield from _when(number["tgkill"], _only_if(0, [own]))
    yield from _when(number["prlimit64"], _only_if(0, [0, own]))
    yield from _when(number["fcntl"], _not_if(1, [_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _F_SETLEASE, _F_NOTIFY]))
    yield from _when(number["ioctl"], _not_if(1, [_FIOSETOWN, _SIOCSPGRP, _FIOASYNC, _TIOCSTI]))
    yield (_RETURN, 0, 0, _ALLOW)


def _refuse(number):
    return (_RETURN, 0, 0, _ERROR | number)


def _when(number, steps):
    return [(_EQUAL, 0, len(steps), number), *steps]


def _argument(place, mask):
    """Load the low half of an argument; the kernel takes none of these for more than 32 bits."""
    return [(_LOAD, 0, 0, _ARGUMENTS + 8 * place), (_AND, 0, 0, mask)]


def _only_if(place, values, mask=0xFFFFFFFF):
    allowed = [step for value in values for step in ((_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW))]
    return [*_argument(place, mask), *allowed, _refuse(errno.EPERM)]


def _not_if(place, values):
    refused = [step for value in values for step in ((_EQUAL, 0, 1, value), _refuse(errno.EPERM))]
    return [*_argument(place, 0xFFFFFFFF), *refused, (_RETURN, 0, 0, _ALLOW)]
