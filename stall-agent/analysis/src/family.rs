//! Whose code a function on a kernel stack is: a server's client, a stacked device's driver, the
//! block layer, a filesystem, or none of these.
//!
//! The module tells where the kernel has the code in one; the beginning of the name does where it
//! is built in. Names are those of Linux 4.14 to 7.x and of the modules that are not in its tree
//! (ZFS, Lustre, DRBD 9, bcachefs).

use std::sync::LazyLock;

use super::symbol::{Function, Index, is_one_of};

/// What a task that sleeps in its code has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A server on the network, or other nodes of a cluster.
    Network,
    /// A program that serves a filesystem or a device.
    UserSpace,
    /// A device made of other devices.
    Stacked,
    /// The block layer and the drivers of disks.
    Block,
    /// A filesystem on a disk.
    Filesystem,
    /// Not storage.
    Elsewhere,
}

/// Code that belongs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    /// Others build on it; who they are says more.
    pub(super) is_library: bool,
}

/// Name, kind, modules, functions.
type Row = (&'static str, Kind, &'static str, &'static str);

/// Servers for others, whose own waits are told by the code they call: nfsd, ksmbd, Lustre's.
const TRANSPARENT: &str =
    "nfsd ksmbd lockd auth_rpcgss mdt mdd lod ofd ost mgs osd_ldiskfs osd_zfs lfsck lquota";

/// Modules whose functions have names in more than one family, or in none.
const SHARED: &str = "sunrpc libcrc32c crc32c* aesni_intel crypto* libaes xor raid6_pq async_*";

const LIBRARIES: &str = "netfs jbd2 vfs block scsi";

const FAMILIES: &[Row] = &[
    // Named before those whose patterns would take them.
    (
        "block",
        Kind::Block,
        "",
        "ll_rw_block ll_back_merge* ll_front_merge* ll_merge* mmc_blk_* mmc_mq_*",
    ),
    (
        "usb_storage",
        Kind::Block,
        "usb_storage uas",
        "usb_stor_* uas_*",
    ),
    (
        "userfaultfd",
        Kind::UserSpace,
        "",
        "handle_userfault userfaultfd_*",
    ),
    (
        "fanotify",
        Kind::UserSpace,
        "",
        "fanotify_handle_event fanotify_get_response* fanotify_handle*",
    ),
    (
        "autofs",
        Kind::UserSpace,
        "autofs4 autofs",
        "autofs_* autofs4_*",
    ),
    (
        "virtiofs",
        Kind::UserSpace,
        "virtiofs",
        "virtio_fs_* virtiofs_*",
    ),
    (
        "fuse",
        Kind::UserSpace,
        "fuse cuse",
        "fuse_* __fuse_* request_wait_answer cuse_*",
    ),
    ("nbd", Kind::UserSpace, "nbd", "nbd_* __nbd_*"),
    ("ublk", Kind::UserSpace, "ublk_drv", "ublk_* __ublk_*"),
    (
        "tcmu",
        Kind::UserSpace,
        "target_core_user",
        "tcmu_* __tcmu_*",
    ),
    (
        "orangefs",
        Kind::UserSpace,
        "orangefs",
        "orangefs_* pvfs2_*",
    ),
    ("coda", Kind::UserSpace, "coda", "coda_* venus_*"),
    (
        "nfs",
        Kind::Network,
        "nfs nfsv2 nfsv3 nfsv4 nfs_acl nfs_layout* blocklayoutdriver rpcsec_gss* rpcrdma",
        "nfs_* __nfs_* nfs2_* nfs3_* nfs4_* _nfs4_* __nfs4_* nfs40_* nfs41_* _nfs41_* nfs42_* \
         _nfs42_* pnfs_* _pnfs_* ff_layout_* filelayout_* rpc_* __rpc_* rpcauth_* rpcb_* xprt_* \
         __xprt_* xs_tcp_* xs_udp_* xs_connect* xs_reset_transport xs_close* nlmclnt_* nlm_*",
    ),
    (
        "cifs",
        Kind::Network,
        "cifs smb*",
        "cifs_* _cifs_* __cifs_* CIFS* smb2_* SMB2_* smb3_* smb_* __smb* smbd_* SendReceive* \
         compound_send_recv wait_for_response wait_for_compound_request wait_for_free_credits \
         wait_for_free_request* wait_mtu_credits open_cached_dir* dfs_*",
    ),
    (
        "9p",
        Kind::Network,
        "9p 9pnet 9pnet_*",
        "p9_* v9fs_* __v9fs_*",
    ),
    ("rbd", Kind::Network, "rbd", "rbd_* __rbd_*"),
    (
        "ceph",
        Kind::Network,
        "ceph libceph",
        "ceph_* __ceph_* try_get_cap_refs",
    ),
    (
        "afs",
        Kind::Network,
        "kafs afs rxrpc openafs libafs",
        "afs_* rxrpc_*",
    ),
    (
        "netfs",
        Kind::Network,
        "netfs fscache",
        "netfs_* __netfs_* fscache_* __fscache_*",
    ),
    (
        "lustre",
        Kind::Network,
        "lustre ptlrpc mdc osc osp lov lmv mgc fid fld obdclass lnet ksocklnd ko2iblnd libcfs",
        "ptlrpc_* ldlm_* mdc_* osc_* osp_* lov_* lmv_* cl_io_* cl_sync_* cl_lock_* cl_object_* \
         vvp_* ll_* LNet* lnet_* obd_* lustre_*",
    ),
    (
        "dlm",
        Kind::Network,
        "dlm ocfs2_dlm ocfs2_dlmfs ocfs2_stack* ocfs2_nodemanager",
        "dlm_* dlmlock dlmunlock o2net_* o2hb_* o2cb_* gdlm_*",
    ),
    ("gpfs", Kind::Network, "mmfs* mmfslinux tracedev", "gpfs_*"),
    (
        "beegfs",
        Kind::Network,
        "beegfs",
        "FhgfsOps* FhgfsOpsHelper*",
    ),
    (
        "vboxsf",
        Kind::Network,
        "vboxsf vmhgfs prl_fs",
        "vboxsf_* hgfs_*",
    ),
    (
        "drbd",
        Kind::Stacked,
        "drbd drbd_transport_*",
        "drbd_* __drbd_* _drbd_* drbdd* conn_wait_* receive_Barrier receive_Data al_begin_io* \
         dtt_* dtr_*",
    ),
    (
        "md",
        Kind::Stacked,
        "md_mod md_cluster raid0 raid1 raid10 raid456 linear faulty",
        "md_* __md_* mddev_* __mddev_* raid0_* raid1_* raid1d raid10_* raid10d raid5_* raid5d \
         raid6_* r5l_* r5c_* r5conf* ppl_* llbitmap_* bitmap_unplug bitmap_daemon_work \
         bitmap_startwrite bitmap_wait_behind_writes wait_barrier _wait_barrier wait_read_barrier \
         raise_barrier freeze_array unfreeze_array make_stripe_request handle_stripe \
         handle_active_stripes get_active_stripe __get_active_stripe flush_bio_list \
         flush_pending_writes stop_sync_thread idle_sync_thread frozen_sync_thread do_md_run \
         do_md_stop restart_array reshape_request",
    ),
    (
        "zfs",
        Kind::Stacked,
        "zfs spl zavl zcommon znvpair zunicode icp zlua zzstd",
        "cv_wait* cv_timedwait* __cv_* zfs_* __zfs_* zpl_* zil_* zio_* __zio_* dmu_* txg_* dbuf_* \
         arc_* l2arc_* spa_* vdev_* dsl_* zvol_* dnode_* rrw_* rrm_* ddt_* metaslab_* spl_* \
         taskq_* bpobj_* zthr_* mmp_* space_map_* zpool_*",
    ),
    (
        "bcache",
        Kind::Stacked,
        "bcache",
        "bch_* __bch_* cached_dev_*",
    ),
    (
        "dm",
        Kind::Stacked,
        "dm_* kvdo uds",
        "dm_* __dm_* __split_and_process_bio __map_bio crypt_* kcryptd_* dmcrypt_write thin_* \
         process_bio process_cell* process_discard* process_prepared_* process_shared_bio \
         process_deferred_bios do_worker snapshot_map snapshot_merge* __origin_write do_origin \
         origin_map pending_complete ctl_ioctl lock_fs new_read __bufio_new __get_unclaimed_buffer \
         __wait_for_free_buffer ro_step btree_lookup_raw sm_ll_* writecache_* integrity_map* \
         integrity_commit* integrity_bio_wait integrity_metadata verity_* era_* mirror_* \
         multipath_* raid_presuspend raid_postsuspend raid_map raid_ctr raid_dtr raid_resume \
         raid_status pool_presuspend* pool_postsuspend vdo_* uds_* kcopyd_*",
    ),
    (
        "bcachefs",
        Kind::Filesystem,
        "bcachefs",
        "bch2_* __bch2_* six_lock_* __six_lock_* journal_quiesce",
    ),
    (
        "nvme",
        Kind::Block,
        "nvme nvme_* nvmet nvmet_*",
        "nvme_* __nvme_* nvmf_* nvmet_*",
    ),
    (
        "iscsi",
        Kind::Block,
        "iscsi_tcp libiscsi libiscsi_tcp scsi_transport_iscsi ib_iser qla4xxx be2iscsi bnx2i",
        "iscsi_* __iscsi_* iser_*",
    ),
    (
        "target",
        Kind::Block,
        "target_core_* iscsi_target_mod tcm_* vhost_scsi ib_isert ib_srpt",
        "target_* __target_* transport_* __transport_* core_tmr_* iscsit_* iblock_* vhost_scsi_*",
    ),
    (
        "scsi",
        Kind::Block,
        "scsi_mod sd_mod sr_mod sg st ch ses scsi_transport_* libfc libfcoe libsas libata ahci \
         libahci ata_* pata_* sata_* mpt3sas mpt2sas mptsas mptbase mptscsih megaraid* hpsa \
         smartpqi aacraid arcmsr qla2xxx lpfc bfa bnx2fc fnic csiostor hv_storvsc virtio_scsi \
         vmw_pvscsi pm80xx mvsas isci hisi_sas* ufshcd* ufs_* ib_srp 3w_* aic7xxx aic94xx cxgb* \
         scsi_debug scsi_dh_*",
        "scsi_* __scsi_* sd_* sr_* sg_ioctl* sg_open sg_release sg_new_* st_* ses_* fc_block_* \
         fc_remote_* fc_rport_* fc_remove_host fc_bsg_* sas_* srp_* ata_* __ata_* ahci_* mpt3sas_* \
         _scsih_* _base_* megasas_* hpsa_* aac_* qla2x00_* qla24xx_* lpfc_* storvsc_* virtscsi_* \
         pvscsi_* ufshcd_*",
    ),
    (
        "loop",
        Kind::Block,
        "loop",
        "loop_* __loop_* lo_open lo_release lo_ioctl lo_*",
    ),
    ("zram", Kind::Block, "zram", "zram_* __zram_*"),
    (
        "mtd",
        Kind::Block,
        "mtd mtdblock* mtd_blkdevs ftl nftl inftl ubi nand* spi_nor",
        "mtd_* mtdblock_* blktrans_* ubi_* ftl_* add_mtd_* nand_* spi_nor_*",
    ),
    (
        "block",
        Kind::Block,
        "virtio_blk xen_blkfront xen_blkback null_blk mmc_block nd_* pmem brd rnbd_* floppy \
         pktcdvd rsxx mtip32xx skd",
        "blk_* __blk_* blkdev_* __blkdev_* bdev_* __bdev_* bd_* __bd_* disk_* del_gendisk \
         device_add_disk __device_add_disk add_disk* elevator_* elv_* bio_* submit_bio* \
         __submit_bio* generic_make_request* blkcg_* blkg_* part_* read_part_sector \
         rescan_partitions invalidate_partition sync_blockdev* __sync_blockdev invalidate_bdev \
         fsync_bdev block_ioctl virtblk_* blkfront_* xen_blkif_* bsg_* wbt_* bfq_* pmem_* floppy_*",
    ),
    (
        "jbd2",
        Kind::Filesystem,
        "jbd2",
        "jbd2_* __jbd2_* kjournald2 start_this_handle do_get_write_access wait_transaction_* \
         add_transaction_credits journal_*",
    ),
    (
        "ext4",
        Kind::Filesystem,
        "ext4 ldiskfs",
        "ext4_* __ext4_* ldiskfs_* mpage_prepare_extent_to_map",
    ),
    (
        "xfs",
        Kind::Filesystem,
        "xfs",
        "xfs_* __xfs_* _xfs_* xlog_* xfsaild*",
    ),
    (
        "btrfs",
        Kind::Filesystem,
        "btrfs",
        "btrfs_* __btrfs_* btree_writepages btree_write_cache_pages extent_write_cache_pages \
         __extent_writepage extent_writepages extent_readahead extent_readpages wait_extent_bit \
         lock_extent* try_lock_extent* scrub_* write_all_supers transaction_kthread \
         cleaner_kthread wait_current_trans wait_for_commit flush_space wait_reserve_ticket \
         handle_reserve_ticket cow_file_range* read_extent_buffer_pages* relocate_block_group \
         write_one_cache_group",
    ),
    (
        "f2fs",
        Kind::Filesystem,
        "f2fs",
        "f2fs_* __f2fs_* issue_flush_thread issue_discard_thread __submit_discard_cmd \
         __write_checkpoint",
    ),
    (
        "gfs2",
        Kind::Filesystem,
        "gfs2",
        "gfs2_* __gfs2_* glock_work_func do_xmote",
    ),
    ("ocfs2", Kind::Filesystem, "ocfs2", "ocfs2_* __ocfs2_*"),
    ("overlay", Kind::Filesystem, "overlay", "ovl_*"),
    ("cachefiles", Kind::Filesystem, "cachefiles", "cachefiles_*"),
    ("nilfs2", Kind::Filesystem, "nilfs2", "nilfs_*"),
    (
        "reiserfs",
        Kind::Filesystem,
        "reiserfs reiser4",
        "reiserfs_* do_journal_begin_r do_journal_end queue_log_writer flush_commit_list \
         flush_journal_list reiser4_*",
    ),
    (
        "jfs",
        Kind::Filesystem,
        "jfs",
        "jfs_* txBegin txEnd txCommit txLock txLazy* lmLogSync lmGroupCommit __get_metapage \
         force_metapage release_metapage diWrite diRead diSync",
    ),
    (
        "fat",
        Kind::Filesystem,
        "fat vfat msdos exfat",
        "fat_* vfat_* msdos_* exfat_* __exfat_*",
    ),
    (
        "ntfs",
        Kind::Filesystem,
        "ntfs ntfs3 ufsd tntfs",
        "ntfs_* __ntfs_* ni_* mi_write ufsd_*",
    ),
    (
        "squashfs",
        Kind::Filesystem,
        "squashfs erofs cramfs isofs udf",
        "squashfs_* erofs_* z_erofs_* cramfs_* isofs_* udf_*",
    ),
    (
        "ubifs",
        Kind::Filesystem,
        "ubifs jffs2 yaffs2",
        "ubifs_* jffs2_* yaffs_*",
    ),
    (
        "ext2",
        Kind::Filesystem,
        "ext2 minix sysv ufs hfs hfsplus affs bfs zonefs nullfs",
        "ext2_* minix_* sysv_* ufs_* hfs_* hfsplus_* affs_* zonefs_*",
    ),
    (
        "vxfs",
        Kind::Filesystem,
        "vxfs vxio vxdmp fdd aufs ecryptfs",
        "vx_* vol_* aufs_* au_* ecryptfs_*",
    ),
    // Not storage: what would otherwise look like the entry it came in by.
    (
        "sysfs",
        Kind::Elsewhere,
        "configfs",
        "kernfs_* __kernfs_* sysfs_* proc_* dev_attr_store dev_attr_show drv_attr_store debugfs_* \
         configfs_* seq_read* __seq_* simple_attr_*",
    ),
    (
        "memory",
        Kind::Elsewhere,
        "",
        "lru_add_drain_all __lru_add_drain_all mmap_* vm_mmap_pgoff vm_munmap __vm_munmap do_mmap* \
         ksys_mmap_pgoff unregister_shrinker unregister_memcg_shrinker register_shrinker* \
         prealloc_shrinker prealloc_memcg_shrinker do_user_addr_fault do_page_fault \
         __do_page_fault lock_mm_and_find_vma __access_remote_vm access_remote_vm do_mprotect* \
         do_madvise* madvise_* process_madvise exit_mmap mmput* exit_mm* khugepaged* ksm_* \
         mem_cgroup_* memcg_* kmem_cache_* shmem_* hugetlb_* get_user_pages* __get_user_pages* \
         __gup_longterm* faultin_* populate_vma_page_range __mm_populate mlock* dup_mm* \
         shrink_slab* alloc_contig_* cma_* migrate_prep soft_offline_page memory_failure* \
         offline_pages online_pages get_online_mems mem_hotplug_* drain_all_pages \
         __drain_all_pages do_brk* __do_sys_brk __x64_sys_brk get_task_cmdline m_start show_smap* \
         pagemap_* clear_refs_* task_numa_work numa_* move_pages* do_move_pages* swap_* \
         __do_sys_swapoff zswap_*",
    ),
    (
        "cgroup",
        Kind::Elsewhere,
        "",
        "cgroup_* __cgroup_* cgroup1_* cpuset_* css_* freezer_* __refrigerator do_freezer_trap",
    ),
    (
        "io_uring",
        Kind::Elsewhere,
        "",
        "io_uring_* __io_uring_* io_ring_* io_wq_* io_sq_* io_cqring_* io_submit_sqes \
         __do_sys_io_uring* io_register_* io_rsrc_* io_issue_sqe",
    ),
    (
        "net",
        Kind::Elsewhere,
        "ib_* rdma_* rdmavt iw_cm mlx4_* mlx5_* bonding bridge openvswitch nf_* nft_* tun veth \
         wireguard mac80211 cfg80211 tls",
        "rtnl_* __rtnl_* rtnetlink_* net_* __net_* netdev_* __netdev_* dev_ioctl dev_open \
         dev_close* __dev_* sock_* __sock_* sk_* lock_sock* __lock_sock release_sock tcp_* udp_* \
         inet_* inet6_* ip_* ip6_* ipv6_* unix_* netlink_* genl_* nf_* nft_* nfnl* xfrm_* tc_* \
         tcf_* qdisc_* napi_* unregister_netdev* register_netdev* cleanup_net copy_net_ns \
         setup_net addrconf_* fib_* br_* bond_* wg_* cfg80211_* nl80211_* ieee80211_* ib_* rdma_* \
         mlx4_* mlx5_* rxe_* linkwatch_* vlan_* macvlan_* packet_* ethtool_* ethnl_* dev_ethtool \
         iwl_* iwlwifi_*",
    ),
    (
        "gpu",
        Kind::Elsewhere,
        "drm drm_* ttm amdgpu radeon i915 xe nouveau nvidia nvidia_* virtio_gpu vmwgfx mgag200 ast",
        "drm_* amdgpu_* i915_* intel_* nouveau_* nvkm_* radeon_* ttm_* dma_fence_* dma_resv_* \
         virtio_gpu_* vmw_* uvm_* os_acquire_* fb_* fbcon_*",
    ),
    (
        "kvm",
        Kind::Elsewhere,
        "kvm kvm_intel kvm_amd vhost vhost_net vhost_vsock vfio vfio_* iommufd",
        "kvm_* vfio_* iommufd_* iommu_* vhost_*",
    ),
    (
        "tty",
        Kind::Elsewhere,
        "",
        "tty_* __tty_* n_tty_* uart_* serial8250_* console_* con_* vt_* vc_* do_con_write ldsem_* \
         pty_*",
    ),
    (
        "drivers",
        Kind::Elsewhere,
        "usbcore usbhid xhci_* snd snd_* hid hid_* ipmi_* tpm* i2c_* mei mei_* thunderbolt",
        "chrdev_open misc_open usb_* usbdev_* hub_* xhci_* snd_* hid_* evdev_* input_* ipmi_* \
         tpm_* i2c_* mei_* tb_* mmc_* __mmc_* sdio_* rfkill_* led_* thermal_* pci_* pciehp_* \
         pcie_* acpi_* pnp_* device_* driver_* bus_* __device_* __driver_* really_probe \
         driver_attach wait_for_device_probe devtmpfs_* firmware_* _request_firmware \
         request_firmware* fw_* dpm_* pm_* rpm_* __pm_* suspend_* async_synchronize* watchdog_* \
         rtc_* dev_coredump*",
    ),
    (
        "kernel",
        Kind::Elsewhere,
        "",
        "load_module do_init_module idempotent_init_module __request_module request_module \
         __do_sys_finit_module __do_sys_delete_module free_module call_usermodehelper_* rcu_* \
         srcu_* fsnotify_* bpf_* __bpf_* perf_* __perf_* ftrace_* tracing_* trace_* uprobe_* \
         kprobe_* jump_label_* static_key_* text_poke* cpu_* _cpu_* cpus_* __cpu* cpuhp_* \
         stop_machine* pipe_* fifo_open eventfd_* ep_* __x64_sys_epoll* eventpoll_* futex_* \
         ptrace_* __ptrace_* mm_access wait_for_vfork_done kernel_clone _do_fork do_fork \
         copy_process do_wait kernel_wait4 zap_pid_ns* do_coredump coredump_* exec_* \
         begin_new_exec flush_old_exec de_thread prepare_bprm_creds bprm_* audit_* printk_* \
         vprintk_* random_* getrandom* keyctl_* key_* request_key* ipc_* semtimedop* do_semtimedop \
         msg_* membarrier_* sched_* set_cpus_allowed_ptr __set_cpus_allowed_ptr migration_* \
         kthread_* worker_* create_worker workqueue_* pwq_* alloc_workqueue destroy_workqueue \
         synchronize_irq free_irq",
    ),
];

/// The kernel's file layer, over whatever filesystem.
pub(super) const VFS_NAME: &str = "vfs";
/// Functions of the kernel's file layer, whose locks and waits are those of some filesystem.
const VFS: &str = "vfs_* legitimize_* unlazy_walk complete_walk do_last path_openat open_last_lookups do_open \
     do_filp_open walk_component lookup_slow __lookup_slow lookup_one* link_path_walk* \
     path_lookupat filename_* d_alloc_parallel d_wait_lookup do_unlinkat do_rmdir do_mkdirat \
     do_mknodat do_linkat do_symlinkat do_renameat2 start_dirop* lock_rename* lock_two_* \
     __lock_parent iterate_dir do_truncate do_sys_ftruncate notify_change chown_common \
     chmod_common setxattr removexattr lock_mount do_lock_mount path_mount do_mount ksys_mount \
     ksys_umount path_umount do_umount namespace_* put_mnt_ns copy_mnt_ns attach_recursive_mnt \
     do_move_mount do_add_mount do_new_mount iterate_supers* __iterate_supers super_lock \
     grab_super* sget sget_fc get_tree_bdev* mount_bdev freeze_super thaw_super thaw_super_locked \
     deactivate_super deactivate_locked_super generic_shutdown_super kill_block_super cleanup_mnt \
     user_get_super get_super* freeze_bdev thaw_bdev sync_inodes_sb sync_inodes_one_sb \
     writeback_inodes_sb* __writeback_inodes* try_to_writeback_inodes_sb writeback_single_inode \
     __writeback_single_inode inode_wait_for_writeback __inode_wait_for_writeback inode_lock* \
     inode_dio_wait* __inode_dio_wait __wait_on_freeing_inode find_inode find_inode_fast ilookup* \
     iget_locked iget5_locked iget_failed evict fdget_pos __fdget_pos ksys_lseek generic_file_* \
     __generic_file_* generic_perform_write generic_remap_* __generic_remap* default_llseek \
     do_fsync sync_filesystem ksys_sync fuse_lock_inode do_remap* exit_aio sb_* __sb_* \
     mnt_want_write* mnt_* filemap_* __filemap_* truncate_inode_pages* invalidate_inode_pages* \
     truncate_pagecache* iomap_* __iomap_* block_write_* __block_write_* buffer_* mpage_* wb_* \
     bdi_* cgwb_* do_writepages new_sync_* call_read_iter call_write_iter do_iter_* \
     do_loop_readv_writev kernel_read* kernel_write* __kernel_read __kernel_write* ksys_* \
     rw_verify_area read_pages page_cache_* ondemand_readahead force_page_cache_* io_read io_write \
     __io_read aio_read aio_write flock_* locks_* dquot_* __dquot_* quota_* do_quotactl dentry_* \
     shrink_dcache* d_invalidate dput __dput splice_* do_splice* iter_file_splice_write \
     __break_lease";

/// Those of the file layer that a file of any kind, also a driver's or the kernel's own, is read
/// and written by.
const ENTRIES: &str = "vfs_read vfs_readv vfs_write vfs_writev vfs_iter_* vfs_ioctl vfs_poll new_sync_* \
     call_read_iter call_write_iter do_iter_* do_loop_readv_writev kernel_read* kernel_write* \
     __kernel_* ksys_* io_read io_write __io_read aio_read aio_write splice_* do_splice*";

/// Whether it says nothing of what kind of file it is.
pub(super) fn is_entry(function: &Function<'_>) -> bool {
    is_one_of(ENTRIES, function.name)
}

/// Whether a family of that name has to do with storage.
pub(super) fn is_storage(name: &str) -> bool {
    let known = FAMILIES.iter().find(|(known, ..)| *known == name);
    name == VFS_NAME || known.is_some_and(|(_, kind, ..)| *kind != Kind::Elsewhere)
}

static BY_FUNCTION: LazyLock<Index> = LazyLock::new(|| {
    let rows = FAMILIES.iter().map(|(.., functions)| *functions);
    Index::new(rows.chain([VFS]).enumerate())
});

/// Whose code the function is; `is_smb_server` for the names that ksmbd and the client for SMB have
/// both.
pub(super) fn of<'a>(function: &Function<'a>, is_smb_server: bool) -> Option<Family<'a>> {
    let by_name = || {
        let number = BY_FUNCTION.first(function.name)?;
        let row = FAMILIES.get(number);
        let (name, kind) = row.map_or((VFS_NAME, Kind::Filesystem), |(name, kind, ..)| {
            (*name, *kind)
        });
        (!is_smb_server || name != "cifs").then(|| family(name, kind))
    };
    match function.module {
        None => by_name(),
        Some(module) if is_one_of(TRANSPARENT, module) => None,
        Some(module) if is_one_of(SHARED, module) => by_name(),
        Some(module) => {
            let mut rows = FAMILIES.iter();
            let row = rows.find(|(_, _, modules, _)| is_one_of(modules, module));
            let (name, kind) =
                row.map_or((module, Kind::Elsewhere), |(name, kind, ..)| (*name, *kind));
            Some(family(name, kind))
        }
    }
}

fn family(name: &str, kind: Kind) -> Family<'_> {
    Family {
        name,
        kind,
        is_library: is_one_of(LIBRARIES, name),
    }
}
