/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Records of a checkpoint image: fixed-size little-endian structures behind a
 * common header, 8-byte aligned, each followed by what its comment says. Both
 * providers write these. Only __uNN types, no pointers, no padding that is not
 * named; unused fields are zero. A structure only grows at its end, with a new
 * version in its header.
 *
 * Where they are: those of the container in container.rec, those of a process
 * in its core as notes of owner FIRN (one record a note, header included).
 * Order in a core: the process's records, then for each thread CKPT_THREAD
 * followed by that thread's records.
 *
 * Times are nanoseconds. Relative ones are relative to the clock readings of
 * CKPT_BEGIN.
 *
 * The frame of records, and those that the kernel writes too, are in the header
 * that Firn has in common with it.
 */
#ifndef FIRN_CHECKPOINT_RECORDS_H
#define FIRN_CHECKPOINT_RECORDS_H

#include <linux/types.h>

#include "checkpoint/image/linux_checkpoint.h"

#define CKPT_MAGIC	    0x4e524946 /* "FIRN" */
#define CKPT_FORMAT_VERSION 1

/* Of record types, those that the kernel knows too are in linux_checkpoint.h. */
enum ckpt_type {
	/* container.rec */
	CKPT_BEGIN = 1,
	CKPT_END = 2,
	CKPT_TASK = 3,
	CKPT_UTS = 4,
	CKPT_SHARING = 5,
	CKPT_STOPS = 6,

	CKPT_FILE = 16,
	CKPT_PIPE = 17,
	CKPT_EVENTFD = 18,
	CKPT_EPOLL = 19,
	CKPT_TIMERFD = 20,
	CKPT_SIGNALFD = 21,
	CKPT_UNIX = 22,
	CKPT_INET = 23,
	CKPT_EXTERNAL = 24,
	CKPT_DESCRIPTION = 25,
	CKPT_OWNER = 28,
	CKPT_INOTIFY = 29,
	CKPT_FANOTIFY = 38,
	CKPT_PACKET = 47,
	CKPT_MQUEUE = 30,
	CKPT_MQUEUE_FD = 31,

	CKPT_TTY = 32,
	CKPT_PTY = 33,
	CKPT_CTTY = 34,
	CKPT_MEMFD = 35,
	CKPT_PIDFD = 36,
	CKPT_NETLINK = 37,
	CKPT_NAMESPACE = 48,
	CKPT_TMPFS = 49,

	CKPT_MQUEUE_LIMITS = 39,
	CKPT_MEMORY_OBJECT = 40,
	CKPT_GHOST = 45,
	CKPT_IPC_NEXT = 46,

	/* task-N.core: of the process */
	CKPT_FDS = 67,
	CKPT_FS = 68,
	CKPT_AIO = 79,

	/* task-N.core: of a thread */
	CKPT_EXITED = 102,
};

/* First record of container.rec. */
struct ckpt_begin {
	__u32 magic;
	__u32 format;
	__u64 realtime;
	__u64 monotonic; /* as the container sees it, its time namespace's offset included */
	__u64 boottime;
	__u32 tasks; /* CKPT_TASK records that follow */
	__u32 reserved;
};

/* Last record of container.rec: without it the file is truncated. */
struct ckpt_end {
	__u64 records; /* how many came before this one */
};

enum ckpt_task_state { CKPT_TASK_ALIVE, CKPT_TASK_STOPPED, CKPT_TASK_ZOMBIE };

/* A process, in an order in which parents come before their children. Pids are the container's. */
struct ckpt_task {
	__u32 pid;
	__u32 ppid; /* 0: none inside */
	__u32 pgid;
	__u32 sid;
	__u32 state;	   /* enum ckpt_task_state */
	__u32 exit_code;   /* zombie: wait status; stopped: the signal */
	__u32 exit_signal; /* sent to the parent at exit */
	__u32 threads;	   /* 0 for a zombie */
	__u32 subreaper;   /* PR_SET_CHILD_SUBREAPER */
	__u32 tracer;	   /* that has it under ptrace: then it cannot be restored. 0: none */
	char comm[16];
};

/*
 * Stands for CKPT_THREAD of a process's first thread that has exited while others run: before
 * theirs, followed by its CKPT_CREDS and CKPT_SCHED. It has the process's pid and name.
 */
struct ckpt_exited {
	__u32 exit_code; /* its wait status, which /proc/PID/task/PID/stat shows */
	__u32 reserved;
};

#define CKPT_AIO_NAME "[aio]" /* of its mapping, which is of kind CKPT_VMA_SPECIAL */

/* A context of io_setup(2). What has ended and was not read follows, the oldest first. */
struct ckpt_aio {
	__u64 address; /* of the ring, by which the process knows the context */
	__u32 nr;      /* events that the ring has room for; it fills (nr + 1) * 32 bytes */
	__u32 head, tail;
	__u32 reserved;
};

/* as struct io_event of linux/aio_abi.h */
struct ckpt_aio_event {
	__u64 data, object;
	__s64 result, result2;
};

/*
 * What a process shares with one that came before it (CLONE_FILES, CLONE_FS): the pid of the
 * first that has it, 0 for its own. Its core then lacks CKPT_FDS or CKPT_FS. Its parent has the
 * same.
 */
struct ckpt_sharing {
	__u32 pid;
	__u32 files;
	__u32 fs;
	__u32 reserved;
};

/*
 * CKPT_STOPS is an array of these, for processes in a job-control stop: what has stopped each, and
 * what would stop it once more (who has sent that is not kept).
 */
struct ckpt_stop {
	__u32 pid;
	__u32 tid;     /* of what is pending: of the thread that it was sent to; 0: the process */
	__u32 signal;  /* SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU; SIGSTOP alone is pending here */
	__u32 pending; /* 0: the process has stopped by it */
};

/* hostname and domain name */
struct ckpt_uts {
	char nodename[65];
	char domainname[65];
	__u8 reserved[6];
};

/*
 * An open file description, referred to by its id from CKPT_FDS and others.
 * Follows: the record of its kind with the same id.
 */
enum ckpt_file_kind {
	CKPT_FILE_REGULAR,
	CKPT_FILE_DIRECTORY,
	CKPT_FILE_DEVICE, /* a memory device node: null, zero, full, random, urandom, tty */
	CKPT_FILE_FIFO,
	CKPT_FILE_PATH,	 /* O_PATH */
	CKPT_FILE_PROC,	 /* a file of the container's own /proc, /sys */
	CKPT_FILE_MEMFD, /* ghost is the number of its memory object; the path is for people */
};

#define CKPT_FILE_DELETED 1 /* contents in ghost-GHOST */
#define CKPT_FILE_MAPPING 2 /* only mapped, perhaps by nobody's fd */
#define CKPT_FILE_GONE	  8 /* of /proc/PID of a process that is gone; ghost is the PID */
#define CKPT_FILE_ALONE	  4 /* a FIFO's end for reading, before anybody had one for writing */

/* path bytes follow (no NUL), relative to the container's root, absolute */
struct ckpt_file {
	__u32 id;
	__u32 kind;	  /* enum ckpt_file_kind */
	__u32 flags;	  /* CKPT_FILE_* */
	__u32 open_flags; /* O_* as fcntl(F_GETFL) gives them */
	__u64 pos;
	__u64 size;  /* regular file: checked at restore when mapped executable */
	__u64 mtime; /* nanoseconds since the epoch */
	__u64 rdev;
	__u32 mode;	/* st_mode */
	__u32 uid, gid; /* deleted file, the container's ids as seen by the host */
	__u32 ghost;	/* N of ghost-N; of a pipe or FIFO the number of its CKPT_PIPE */
	__s32 owner;	/* F_GETOWN_EX, 0 none */
	__u32 owner_type;
	__u32 owner_signal; /* F_GETSIG */
	__u32 path_len;
};

struct ckpt_ghost_run {
	__u64 offset, len;
};

/*
 * A deleted regular file: ghost-N has the bytes of its runs, one after the other. They follow,
 * by offset; what is between them is a hole.
 */
struct ckpt_ghost {
	__u32 ghost; /* N */
	__u32 runs;
	__u64 size;
};

/*
 * A file system in memory: tmpfs-N.tar has what is in it. N counts from 1. Where it is mounted
 * follows, path_len bytes.
 */
#define TMPFS_NAME "tmpfs-%u.tar"

struct ckpt_tmpfs {
	__u32 tmpfs; /* N */
	__u32 path_len;
};

/* If there are packets their lengths follow, __u32 each; then the contents. */
struct ckpt_pipe {
	__u32 pipe; /* N: descriptions with the same N are ends of one pipe; for a FIFO too */
	__u32 size; /* F_GETPIPE_SZ */
	__u32 len;  /* of the contents */
	__u32 packets;
};

struct ckpt_eventfd {
	__u32 id;
	__u32 open_flags;
	__u64 count;
	__u32 semaphore;
	__u32 reserved;
};

struct ckpt_epoll_target {
	__u32 task; /* who has it under that number; 0: nobody any more */
	__u32 fd;   /* under which it was added */
	__u32 description;
	__u32 events;
	__u64 data;
};

/* targets follow */
struct ckpt_epoll {
	__u32 id;
	__u32 open_flags;
	__u32 targets;
	__u32 reserved;
};

struct ckpt_timerfd {
	__u32 id;
	__u32 open_flags;
	__u32 clockid;
	__u32 settime_flags;
	__u64 ticks;
	__u64 interval;
	__u64 value; /* time left; 0 disarmed; absolute for CLOCK_REALTIME with TFD_TIMER_ABSTIME */
};

struct ckpt_signalfd {
	__u32 id;
	__u32 open_flags;
	__u64 mask;
};

enum ckpt_socket_state {
	CKPT_SOCKET_NEW,
	CKPT_SOCKET_BOUND,
	CKPT_SOCKET_LISTEN,
	CKPT_SOCKET_CONNECTED,
	CKPT_SOCKET_RESET,
	CKPT_SOCKET_KEPT,   /* a TCP connection, with CKPT_ITEM_TCP */
	CKPT_SOCKET_CLOSED, /* TCP: a connection that has ended at both ends */
};

/* What setsockopt(2) has set; the order of values is resource/socket.c's. */
struct ckpt_socket_options {
	__u64 known[2]; /* bit i: values[i] is there */
	__u32 sndbuf, rcvbuf;
	__u64 rcvtimeo, sndtimeo;
	__u32 linger_on, linger; /* SO_LINGER, seconds */
	__s32 values[96];
};

#define CKPT_SOCKET_FILE    1 /* the address is a path, and the socket's file is there */
#define CKPT_SOCKET_ERROR   2 /* ECONNRESET is pending: the other end was closed with data unread */
#define CKPT_SOCKET_WAITING 4 /* a connection that its listener has not accepted yet */

/*
 * Follow, each padded to 8 bytes: the address (sun_path without family; an
 * abstract one begins with NUL), the path of the socket's file if the address is
 * relative, the ids of connections that wait to be accepted, and queued messages.
 */
struct ckpt_unix {
	__u32 id;
	__u32 open_flags;
	__u32 type;  /* SOCK_* */
	__u32 state; /* enum ckpt_socket_state */
	__u32 peer;  /* description id of the other end, 0 none */
	__u32 backlog;
	__u32 shutdown; /* 1 read, 2 write */
	__u32 flags;	/* CKPT_SOCKET_* */
	__u32 mode;	/* of the socket's file */
	__u32 uid, gid;
	__u32 address_len;
	__u32 file_len;
	__u32 waiting;
	__u64 queue_len;
	/* SO_PEERCRED; of a waiting connection who is to connect. pid as the container sees it, 0
	 * if it is nobody inside; ids as the host sees them */
	__u32 peer_pid, peer_uid, peer_gid;
	__u32 reserved;
	struct ckpt_socket_options options;
};

#define CKPT_MESSAGE_CREDS 1 /* pid (0: nobody inside), uid and gid are there */

/* Follow, each padded to 8 bytes: ids of descriptions in flight, the sender's address, data. */
struct ckpt_unix_message {
	__u32 len;
	__u32 flags; /* CKPT_MESSAGE_* */
	__u32 pid, uid, gid;
	__u32 fds;
	__u32 from_len;
	__u32 reserved;
};

/* Follows a ckpt_inet: len bytes, padded to 8. */
struct ckpt_item {
	__u32 kind; /* enum ckpt_item_kind */
	__u32 reserved;
	__u64 len;
};

enum ckpt_item_kind {
	CKPT_ITEM_TCP = 1,	      /* struct ckpt_tcp */
	CKPT_ITEM_RECEIVED = 2,	      /* bytes that the program has not read */
	CKPT_ITEM_SENT = 3,	      /* bytes that the other end has not acknowledged */
	CKPT_ITEM_UNSENT = 4,	      /* bytes behind those that were not sent yet */
	CKPT_ITEM_CONGESTION = 5,     /* the name of the congestion control */
	CKPT_ITEM_DATAGRAM = 6,	      /* one that was not read: struct ckpt_datagram, then data */
	CKPT_ITEM_DEVICE = 7,	      /* the name given to SO_BINDTODEVICE */
	CKPT_ITEM_FILTER = 8,	      /* struct sock_filter rows (SO_ATTACH_FILTER) */
	CKPT_ITEM_MEMBERSHIP = 9,     /* struct ckpt_membership, then sources of 28 bytes each */
	CKPT_ITEM_GROUPS = 10,	      /* groups of a netlink socket, __u32 each */
	CKPT_ITEM_ICMP6 = 11,	      /* struct icmp6_filter */
	CKPT_ITEM_LOCKED = 12,	      /* the filter cannot be taken off (SO_LOCK_FILTER); empty */
	CKPT_ITEM_PACKET_MEMBER = 13, /* struct ckpt_packet_member */
};

/* addresses as in ckpt_inet; the port of `to` is the socket's */
struct ckpt_datagram {
	__u8 from[28], to[28];
};

struct ckpt_membership {
	char device[16];
	__u8 group[28]; /* as an address in ckpt_inet */
	__u32 mode;	/* MCAST_EXCLUDE, MCAST_INCLUDE */
	__u32 sources;
};

/* items follow */
struct ckpt_netlink {
	__u32 id;
	__u32 open_flags;
	__u32 type;
	__u32 protocol;
	__u32 portid;		   /* 0: not bound */
	__u32 to_portid, to_group; /* connect(2) */
	__u32 flags;		   /* bit n: option n of SOL_NETLINK is on */
	struct ckpt_socket_options options;
};

/* as struct tpacket_req of linux/if_packet.h; all 0: there is none */
struct ckpt_packet_ring {
	__u32 block_size, block_nr, frame_size, frame_nr;
};

#define CKPT_PACKET_FANOUT 1 /* it is in a group: fanout, as PACKET_FANOUT has it */

/* items follow */
struct ckpt_packet {
	__u32 id;
	__u32 open_flags;
	__u32 type;	/* SOCK_* */
	__u32 protocol; /* ETH_P_* */
	__u32 flags;	/* CKPT_PACKET_* */
	__u32 fanout;
	char device[16];  /* that it is bound to; empty: none */
	__s32 values[16]; /* of options; the order is resource/packet.c's */
	__u32 known;	  /* bit i: values[i] is there */
	__u32 reserved;
	struct ckpt_packet_ring rx, tx; /* of zeros */
	struct ckpt_socket_options options;
};

/* What a packet socket receives of a device (PACKET_ADD_MEMBERSHIP, so many times). */
struct ckpt_packet_member {
	char device[16];
	__u32 count;
	__u32 type; /* PACKET_MR_* */
	__u32 address_len;
	__u8 address[32];
	__u32 reserved;
};

#define CKPT_TCP_SACK	    1
#define CKPT_TCP_WSCALE	    2
#define CKPT_TCP_TIMESTAMPS 4
#define CKPT_TCP_WINDOW	    8 /* the last five fields are there */

/* A TCP connection; sequence numbers do not count FINs. */
struct ckpt_tcp {
	__u32 state;	      /* as in TCP_INFO */
	__u32 flags;	      /* CKPT_TCP_* */
	__u32 received, sent; /* of the first byte of CKPT_ITEM_RECEIVED and CKPT_ITEM_SENT */
	__u32 mss;
	__u32 snd_wscale, rcv_wscale;
	__u32 timestamp; /* TCP_TIMESTAMP at capture */
	__u32 snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup;
	__u32 reserved;
};

#define CKPT_INET_SHUT_RECEIVE 1 /* halves of a datagram socket that are shut down */
#define CKPT_INET_SHUT_SEND    2
#define CKPT_INET_ABSENT       4 /* bound to an address that is not there (IP_FREEBIND, once) */

/* addresses as struct sockaddr_in or sockaddr_in6; items follow */
struct ckpt_inet {
	__u32 id;
	__u32 open_flags;
	__u32 family;
	__u32 type;
	__u32 protocol;
	__u32 state; /* enum ckpt_socket_state */
	__u32 backlog;
	__u32 flags; /* CKPT_INET_* */
	__u8 local[28];
	__u8 remote[28];
	struct ckpt_socket_options options;
};

/* A description that came from outside: given anew at restore. */
struct ckpt_external {
	__u32 id;
	__u32 stdio; /* 0 to 2: which of the init's first descriptors */
	__u32 open_flags;
	__u32 reserved;
};

enum ckpt_tty_kind {
	CKPT_TTY_MASTER,
	CKPT_TTY_SLAVE,
	CKPT_TTY_CURRENT, /* /dev/tty: the slave that it was when it was opened */
};

#define CKPT_TTY_HUNG 1 /* the other end was closed, or vhangup(2) called */

/* One end of a pseudo-terminal. The path follows, as in CKPT_FILE. */
struct ckpt_tty {
	__u32 id;
	__u32 open_flags;
	__u32 kind; /* enum ckpt_tty_kind */
	__u32 flags;
	__u32 pty; /* index of the CKPT_PTY */
	__u32 path_len;
};

#define CKPT_PTY_CONSOLE	  1  /* the container's own terminal: its master is outside */
#define CKPT_PTY_MASTER		  2  /* some process has the master open */
#define CKPT_PTY_OPENED		  4  /* the slave has been opened at least once */
#define CKPT_PTY_LOCKED		  8  /* TIOCSPTLCK */
#define CKPT_PTY_PACKET		  16 /* TIOCPKT */
#define CKPT_PTY_EXCLUSIVE	  32 /* TIOCEXCL on the slave */
#define CKPT_PTY_EXCLUSIVE_MASTER 64
#define CKPT_PTY_STOPPED	  128 /* output stopped by the stop character (^S) */
#define CKPT_PTY_STOPPED_CALL	  256 /* output stopped by tcflow(3) */
#define CKPT_PTY_STATE		  512 /* there is state: it had an end that was not hung up */

/* as struct termios2 of x86 */
struct ckpt_termios {
	__u32 iflag, oflag, cflag, lflag;
	__u8 line;
	__u8 cc[19];
	__u32 ispeed, ospeed;
};

/*
 * What both ends of a pseudo-terminal share. Follows: lines of struct
 * ckpt_pty_line, each padded to 8; then, each padded to 8, three strings of bytes: input, which the
 * slave would read and is not in a complete line; rest, written to the master but not
 * processed yet; output, written by the slave and not read by the master.
 */
struct ckpt_pty {
	__u32 index; /* N of /dev/pts/N */
	__u32 flags; /* CKPT_PTY_* */
	__u32 mode, uid, gid;
	__u32 group; /* in the foreground; 0: one that has ended */
	struct ckpt_termios termios;
	__u16 rows, columns, xpixel, ypixel;
	__u32 packet_status; /* TIOCPKT_*: what the master has not been told yet */
	__u32 lines_len;
	__u32 input_len;
	__u32 rest_len;
	__u32 output_len;
};

#define CKPT_PTY_LINE_EOF 1 /* ended by the end-of-file character, which is not in it */

/* A line of input in canonical mode. Its bytes follow. */
struct ckpt_pty_line {
	__u32 len;
	__u32 flags;
};

/* CKPT_CTTY is an array of these: each process with a controlling terminal. */
struct ckpt_ctty {
	__u32 pid;
	__u32 pty; /* index */
};

/* Watches follow, by number: struct ckpt_inotify_watch, its path (no NUL) padded to 8 */
struct ckpt_inotify {
	__u32 id;
	__u32 open_flags;
	__u32 watches;
	__u32 reserved;
};

struct ckpt_inotify_watch {
	__u32 wd;
	__u32 mask;
	__u32 path_len; /* from the container's root, absolute */
	__u32 reserved;
};

enum ckpt_mark_kind { CKPT_MARK_INODE, CKPT_MARK_MOUNT, CKPT_MARK_FILESYSTEM };

/* Marks follow: struct ckpt_fanotify_mark, its path (no NUL) padded to 8 */
struct ckpt_fanotify {
	__u32 id;
	__u32 open_flags;
	__u32 flags, event_flags; /* as for fanotify_init(2) */
	__u32 marks;
	__u32 privileged; /* whoever has it open may administrate the host */
};

struct ckpt_fanotify_mark {
	__u32 kind;  /* enum ckpt_mark_kind */
	__u32 flags; /* FAN_MARK_* that stay with a mark */
	__u32 mask, ignored;
	__u32 path_len; /* from the container's root, absolute */
	__u32 reserved;
};

/* fs.mqueue.* */
struct ckpt_mqueue_limits {
	__u64 queues_max, msg_max, msgsize_max, msg_default, msgsize_default;
};

#define CKPT_MQUEUE_UNLINKED 1 /* has no name any more; this is the one that it had */

/*
 * A POSIX message queue. The name (without slash or NUL) follows, padded to 8; then the
 * messages in the order in which they are received: struct ckpt_mqueue_message, text padded to 8.
 */
struct ckpt_mqueue {
	__u32 flags; /* CKPT_MQUEUE_* */
	__u32 mode, uid, gid;
	__u64 maxmsg, msgsize;
	__u32 messages;
	__u32 name_len;
	__u32 notify_task; /* who is told by mq_notify(3), and which descriptor it has; 0: nobody */
	__u32 notify_fd;
	__u32 notify; /* SIGEV_* */
	__u32 notify_signal;
	__u64 notify_value;
};

struct ckpt_mqueue_message {
	__u32 priority;
	__u32 len;
};

struct ckpt_mqueue_fd {
	__u32 id;
	__u32 open_flags;
	__u32 queue; /* the how many-th CKPT_MQUEUE, from 1 */
	__u32 reserved;
};

/* Who gets which signal for a description, if not nobody gets SIGIO. */
struct ckpt_owner {
	__u32 id;
	__u32 type; /* as in F_SETOWN_EX */
	__u32 pid;  /* 0: nobody */
	__u32 signal;
	__u32 uid, euid; /* who has set it, as the host sees them */
	__u32 async;	 /* O_ASYNC */
	__u32 task, fd;	 /* whose number the signals tell */
	__u32 reserved;
};

struct ckpt_pidfd {
	__u32 id;
	__u32 open_flags;
	__u32 pid;	 /* a process of the container; 0: one that has ended and was reaped */
	__u32 ended;	 /* which one: those with the same number are of the same process */
	__u32 exit_code; /* its wait status, where the kernel tells it */
	__u32 reserved;
};

/* A namespace that the container itself has. */
struct ckpt_namespace {
	__u32 id;
	__u32 open_flags;
	__u32 type; /* CLONE_NEW* */
	__u32 reserved;
};

#define CKPT_OBJECT_MEMFD 1 /* made by memfd_create(2) */

/* Shared memory: contents in object-N.mem as runs of CKPT_PAGES rows that follow, then checksums.
 */
struct ckpt_memory_object {
	__u32 object; /* N */
	__u32 flags;  /* CKPT_OBJECT_* */
	__u64 size;
	__u64 data_offset, data_len;
	__u64 runs;
	__u64 checksums;
};

/* What a memfd is besides its contents. Its name follows, as given to memfd_create(2). */
struct ckpt_memfd {
	__u32 object; /* a CKPT_MEMORY_OBJECT that came before */
	__u32 seals;  /* F_GET_SEALS */
	__u32 mode;
	__u32 uid, gid;
	__u32 page_shift; /* of huge pages; 0: ordinary ones */
	__u64 mtime;	  /* nanoseconds since the epoch */
	__u32 name_len;
	__u32 reserved;
};

/* Of one checksum: XXH3_64bits over this many bytes of the data area, the last one shorter. */
#define CKPT_CHUNK (1024 * 1024)

/*
 * A further kind of runs in a core, beside those of enum ckpt_page_kind: pages that the process has
 * from its parent (ppid) at the same address, and that both have once (copy-on-write). The run is
 * within one mapping, private and anonymous or of a file, that begins within one of the parent's
 * with the same flags and file, and within that one too; the parent has data there, or such pages.
 */
#define CKPT_PAGES_INHERITED 4

/* in flags of struct ckpt_vma: private anonymous memory of MAP_HUGETLB: huge pages of 2 MiB, or of
 * 1 GiB */
#define CKPT_VMA_HUGETLB    4096
#define CKPT_VMA_HUGETLB_1G 8192
/* MAP_DROPPABLE: the kernel may have taken its contents at any time, and they are not saved */
#define CKPT_VMA_DROPPABLE 16384

/* kernel.msg_next_id, sem_next_id and shm_next_id: the ids of the next objects; -1: any */
struct ckpt_ipc_next {
	__s32 msg, sem, shm;
	__u32 reserved;
};

#define CKPT_FD_CLOEXEC 1

/* CKPT_FDS is an array of these, by number */
struct ckpt_fd {
	__u32 fd;
	__u32 description;
	__u32 flags;
	__u32 reserved;
};

/* cwd and root as CKPT_FILE ids of kind directory */
struct ckpt_fs {
	__u32 cwd;
	__u32 root; /* 0: the container's root */
	__u32 umask;
	__u32 reserved;
};

#endif
