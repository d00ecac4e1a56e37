"""The extensions that Cinder once loaded one by one; all are part of the API, and the list never changes."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.routes import Route

_EXTENSIONS = (
    ("OS-SCH-HNT", "SchedulerHints", "2013-04-18", "Tell the scheduler near which volumes a new one shall be."),
    ("backups", "Backups", "2012-12-12", "Backups of volumes."),
    ("capabilities", "Capabilities", "2015-08-31", "What back ends can do."),
    ("cgsnapshots", "Cgsnapshots", "2014-08-18", "Snapshots of consistency groups."),
    ("consistencygroups", "Consistencygroups", "2014-08-18", "Consistency groups."),
    ("encryption", "VolumeTypeEncryption", "2013-07-01", "Encryption of a type's volumes."),
    ("os-admin-actions", "AdminActions", "2012-08-25", "Actions for administrators."),
    ("os-availability-zone", "AvailabilityZones", "2013-06-27", "Availability zones."),
    ("os-extended-services", "ExtendedServices", "2014-01-10", "Why a service is disabled."),
    (
        "os-extended-snapshot-attributes",
        "ExtendedSnapshotAttributes",
        "2012-06-19",
        "A snapshot's project and progress.",
    ),
    ("os-hosts", "Hosts", "2011-06-29", "Hosts, for administrators."),
    ("os-quota-class-sets", "QuotaClasses", "2012-03-12", "Quota classes."),
    ("os-quota-sets", "Quotas", "2011-08-08", "Quotas."),
    ("os-services", "Services", "2012-10-28", "Services."),
    ("os-snapshot-actions", "SnapshotActions", "2013-07-16", "Actions of snapshots."),
    ("os-snapshot-manage", "SnapshotManage", "2014-12-31", "Take over snapshots that a back end has."),
    ("os-snapshot-unmanage", "SnapshotUnmanage", "2014-12-31", "Let go of snapshots, leaving them in the back end."),
    ("os-types-extra-specs", "TypesExtraSpecs", "2011-08-24", "Extra specs of volume types."),
    ("os-types-manage", "TypesManage", "2011-08-24", "Make and change volume types."),
    ("os-used-limits", "UsedLimits", "2013-10-03", "What of the limits is in use."),
    ("os-vol-host-attr", "VolumeHostAttribute", "2011-11-03", "Where a volume is kept."),
    ("os-vol-image-meta", "VolumeImageMetadata", "2012-12-07", "What a volume has from its image."),
    ("os-vol-mig-status-attr", "VolumeMigStatusAttribute", "2013-08-08", "How a volume's migration goes."),
    ("os-vol-tenant-attr", "VolumeTenantAttribute", "2011-11-03", "Whose a volume is."),
    ("os-volume-actions", "VolumeActions", "2012-05-31", "Actions of volumes."),
    ("os-volume-encryption-metadata", "VolumeEncryptionMetadata", "2013-07-10", "How a volume is encrypted."),
    ("os-volume-manage", "VolumeManage", "2014-02-10", "Take over volumes that a back end has."),
    ("os-volume-transfer", "VolumeTransfer", "2013-05-29", "Give a volume to another project."),
    ("os-volume-type-access", "VolumeTypeAccess", "2014-06-26", "Which projects may use a volume type."),
    ("os-volume-unmanage", "VolumeUnmanage", "2012-05-31", "Let go of volumes, leaving them in the back end."),
    ("qos-specs", "Qos_specs_manage", "2013-08-02", "QoS specs."),
    ("scheduler-stats", "Scheduler_stats", "2014-09-07", "Back ends as the scheduler sees them."),
)
_VIEWS = {
    alias: {
        "alias": alias,
        "name": name,
        "updated": f"{updated}T00:00:00+00:00",
        "description": description,
        "links": [],
    }
    for alias, name, updated, description in _EXTENSIONS
}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /extensions."""
    del tx, call
    return {"extensions": list(_VIEWS.values())}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /extensions/{alias}."""
    del tx
    found = _VIEWS.get(call.path["alias"])
    if found is None:
        raise NotFound(f"There is no extension {call.path['alias'][:255]}.")
    return {"extension": found}


ROUTES = (
    Route("GET", "/v3/extensions", list_, "volume:any"),
    Route("GET", "/v3/extensions/{alias}", show, "volume:any"),
)
