"""Values that the chart is rendered with: the examples, and every feature turned away from its default."""

from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "helm" / "paceline"
EXAMPLES: Final = {name: CHART / "examples" / f"{name}.yaml" for name in ("production", "minimal")}
GOLDEN: Final = Path(__file__).parent / "golden"

SHOP: Final = "advertisers: []\n"
FEATURES: Final[dict[str, dict[str, Any]]] = {
    "deployment": {"workload": "Deployment"},
    "one_instance": {"replicas": 1, "persistence": {"shared": {"accessMode": "ReadWriteOnce"}}},
    "existing_claim": {"persistence": {"shared": {"existingClaim": "our-journal"}}},
    "storage_classes": {"persistence": {"data": {"storageClass": "fast"}, "shared": {"storageClass": "nfs"}}},
    "names": {"nameOverride": "bidder", "serviceAccount": {"name": "ours", "annotations": {"a/b": "c"}}},
    "full_name": {"fullnameOverride": "ads"},
    "no_account": {"serviceAccount": {"create": False}},
    "image": {"image": {"tag": "1.2.3", "pullPolicy": "Always", "pullSecrets": ["registry"]}},
    "big": {"workers": 31, "resources": {"cpuForOthers": 1, "memoryPerWorkerMi": 1280}},
    "secret": {"secret": {"name": "s", "tokenKeys": "t", "priceKeys": "p", "deletionKeys": "d.pem"}},
    "plain_redis": {
        "redis": {"people": {"url": "redis://people:6379"}, "ledger": {"url": "rediss://m:6380"}}
    },
    "redis_clusters": {"redis": {"people": {"cluster": True}, "ledger": {"cluster": True}, "tlsSecret": "r"}},
    "files": {"campaigns": {"source": "files", "files": {"shops.yaml": SHOP, "more.yaml": SHOP}}},
    "campaigns_claim": {"campaigns": {"source": "claim", "name": "campaigns"}},
    "demo": {"campaigns": {"source": "demo"}},
    "rates": {"rates": {"configMap": "rates"}},
    "settings": {
        "config": {
            "log_level": "debug",
            "ready_timeout_s": 300,
            "exchange": {"drain_wait_s": 25.5, "drain_timeout_s": 40.5, "max_connections": 5000},
            "public": {
                "base_url": "https://other.example.com/x",
                "max_body_bytes": 100000,
                "proxies": ["192.0.2.0/24", "2001:db8::/64"],
                "rates": {"beacons": {"per_s": 400, "burst": 2000}},
            },
            "ops": {"token_required": True, "hosts": ["ops.example.com"]},
            "ledger": {"wait_replicas": 1, "wait_ms": 150},
            "metrics": {"top_line_items": 20},
            "events": {"max_bytes": 53687091200, "flush_s": 0.5},
            "privacy": {"vendor_id": 755, "page_url": "https://ads.example.com/privacy"},
            "exchanges": [{"name": "example", "seat": "77", "eid_sources": ["id.example"]}],
            "catalogue": {"private_networks": ["10.1.0.0/16"]},
        }
    },
    "exchange_ingress": {
        "exchange": {
            "ingress": {"enabled": True, "className": "nginx", "host": "b.example", "tlsSecret": "t"}
        },
        "public": {"ingress": {"className": "nginx", "tlsSecret": "p", "annotations": {"x": "y"}}},
    },
    "no_ingress": {"public": {"ingress": {"enabled": False}}},
    "load_balancers": {
        "exchange": {
            "service": {
                "type": "LoadBalancer",
                "externalTrafficPolicy": "Local",
                "loadBalancerSourceRanges": ["192.0.2.0/24"],
                "annotations": {"cloud/kind": "nlb"},
            }
        },
        "public": {
            "service": {"type": "NodePort", "port": 8081, "externalTrafficPolicy": "Cluster"},
        },
        "config": {"public": {"proxies": ["192.0.2.0/24"]}},
        "ops": {"service": {"annotations": {"a": "b"}}},
    },
    "tls": {
        "exchange": {"tls": {"secretName": "e", "clientCa": True}},
        "public": {"tls": {"secretName": "p"}},
        "ops": {"tls": {"secretName": "o"}},
    },
    "autoscaling": {"autoscaling": {"enabled": True, "min": 3, "max": 9}},
    "autoscaling_on_lateness": {"autoscaling": {"enabled": True, "late": {"enabled": True, "perMille": 20}}},
    "no_disruption": {"disruption": {"enabled": False}},
    "no_spread": {"spread": {"zones": "off", "nodes": "off"}},
    "spread": {"spread": {"zones": "DoNotSchedule", "nodes": "DoNotSchedule"}},
    "drain": {"drain": {"preStopSeconds": 0, "marginSeconds": 30}},
    "scheduling": {
        "scheduling": {
            "nodeSelector": {"pool": "ads"},
            "tolerations": [{"key": "ads", "operator": "Exists", "effect": "NoSchedule"}],
            "priorityClassName": "bidders",
        },
        "podAnnotations": {"note": "1"},
        "podLabels": {"team": "ads"},
    },
    "no_policy": {"networkPolicy": {"enabled": False}},
    "closed_policy": {
        "networkPolicy": {
            **{port: {"from": []} for port in ("exchange", "public", "ops")},
            **{store: {"to": []} for store in ("dns", "redis", "feeds")},
        }
    },
    "policy_peers": {
        "networkPolicy": {"exchange": {"from": [{"cidr": "192.0.2.0/24", "except": ["192.0.2.9/32"]}]}}
    },
    "service_monitor": {"metrics": {"monitor": "ServiceMonitor", "labels": {"release": "prometheus"}}},
    "pod_monitor": {
        "metrics": {"monitor": "PodMonitor", "tokenSecret": "scrape"},
        "ops": {"tls": {"secretName": "o"}},
    },
    "rules": {"metrics": {"rules": {"enabled": True, "labels": {"role": "alerts"}}}},
    "runbooks": {
        "metrics": {"rules": {"enabled": True, "runbookBase": "https://wiki.example.com/paceline/"}}
    },
    "dashboards": {"metrics": {"dashboards": {"enabled": True, "labels": {"grafana_dashboard": "1"}}}},
    "no_jobs": {"jobs": {name: {"enabled": False} for name in ("affinity", "retention", "audit")}},
    "valkey": {"valkey": {"enabled": True, "storageClass": "fast"}},
}
"""By name: values over the defaults."""
