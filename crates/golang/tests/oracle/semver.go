// Records what Masterminds/semver does with the versions and constraints below: `go run . > ../data/semver.json`.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/Masterminds/semver/v3"
)

var versions = strings.Split(`1.2.3|v1.2.3|1.2|v1|0.0.0|0.0.1|0.0.3|0.0.4|0.1.0|0.2.0|0.2.3|0.2.9|0.3.0|1.0.0|1.0.1|1.1.0|1.1.9|
1.2.0|1.2.4|1.2.9|1.3.0|1.10.0|1.99.99|2.0.0|2.0.1|2.1.0|2.3.4|3.0.0|4.5.6|10.0.0|11.0.0|11.1.0|11.1.1|11.2.1|12.0.0|
1.2.3-alpha|1.2.3-alpha.1|1.2.3-alpha.beta|1.2.3-beta|1.2.3-beta.2|1.2.3-beta.11|1.2.3-rc.1|1.2.3-0|1.2.3-1|1.2.3-1a|
1.2.3--|1.2.3-a-b.c|2.0.0-rc.1|2.0.0-0|0.0.0-0|1.0.0-0|1.2.3+build|1.2.3+build.9|1.2.3-rc.1+exp.sha|1.3.0-beta.1|
v2025.02.03|v2025.02.03-rc.1|01.02.03|1.2.3-01|1.2.3-0a|1.2.3+01|1.2.3.4|1.2.3-|1.2.3+|1.2.3-a..b|1.2.3-é|a.b.c|V1.2.3|
 1.2.3|1.2.3 ||v|1..3|.1.2|1.2.|-1.2.3|18446744073709551615.0.0|18446744073709551616.0.0|1.2.3-18446744073709551616|
1.2.3-18446744073709551617|1.2.3-9|1.2.3_build|latest|6.6.1-debug`, "|")

var constraints = strings.Split(`*;x;X;;  ;>=0.0.0;>= 0.0.0-0;>=0-0;1;1.x;1.X;1.*;1.2;1.2.x;1.2.*;v1.2;=1.2.3;1.2.3;= 1.2.3;v1.2.3;
!=1.2.3;!=1.2;!=1.2.x;!=1;!=1.x;!=1.2.3-beta;!=1.2.x-0;>1.2.3;>1.2;>1;>11;>11.1;>1.2.x;>1.x;<1.2.3;<1.2;<1;<2;<1.2.x;<1.x;<=1.2.3;
<=1.2;<=1;<=1.x;<=11.1;>=1.2.3;>=1.2;>=1;=>1.2.3;=<1.2.3;~1.2.3;~1.2;~1;~1.x;~0;~0.0;~0.0.0;~0.0.1;~0.2;~0.2.3;~>1.2.3;~>1.2;~>1;
~*;~x;^1.2.3;^1.2;^1;^1.x;^1.2.x;^0.2.3;^0.2;^0.0.3;^0.0;^0;^0.x;^*;^0.0.0;^1.2.3-beta;^1.2.3-0;~1.2.3-beta.2;>=1.2.3-beta;>1.2.3-alpha;
<1.2.3-beta;<=1.2.3-rc.1;>=1.0.0 <2.0.0;>=1.0.0, <2.0.0;>=1.0.0,<2.0.0;>=1.0.0-0 <2.0.0-0;>=1.0.0 <2.0.0 || >=3.0.0;1.x || 2.x;
1.2.3 || 4.5.6;1.2.3||4.5.6;<1.0.0 || >=2.3.4 || =1.2.9;1.0.0 - 2.0.0;1.0 - 2;1.2.3 - 1.2.9 || 11.x;1.0.0-0 - 1.2.3;1.0.0 -2.0.0;
>=1.2.3+build;1.2.3+build;=1.2.3-rc.1+exp.sha;!=1.2.3+x;^2025;~2025.02;v2025.02.03;01.02.03;>01.02;1.2.3.4;>>1;=>=1;><1;1 2;1.2 3.4;
>=1,;,>=1;>= 1 , <2;>=1  <2;a;1.a;latest;>=a;1.2.3-;1.2.3-01;>= 1.2.3 foo;1||;||1;|| ;1|2;xx;1x;**;1.xx;^18446744073709551615;
^18446744073709551616;5.x.x;>=5.x.x;1.x.3;x.2.3;*.*.*;~1.*.3;>0;>0.0.0;<0;>=1.2.3 !=1.2.4;~1.2 !=1.2.4, <1.2.9;^1 ^2;-1;v;vx;v*;=v1.2.3;
>= v1.2.3;~v1;>=1.2.3-alpha.1 <1.2.3-beta.11;*-0;x-0;1.x-0;1-0;>=1-0;<2-0;>1.2-0;1.2.x-rc;^1.x-0;~1-0;!=x;!=*;>*;<*;>=*;<=*;=*`, ";")

type result struct {
	Constraint string `json:"constraint"`
	Error      string `json:"error,omitempty"`
	Matches    string `json:"matches,omitempty"`
}

func main() {
	clean := func(list []string) {
		for i, s := range list {
			list[i] = strings.ReplaceAll(s, "\n", "")
		}
	}
	clean(versions)
	clean(constraints)
	constraints = append(constraints, strings.Repeat("1||", 32)+"1", strings.Repeat("1 ", 300), "1\t2", "1\v2", "\u00a01", "1\n", ">=1\n<2")
	versions = append(versions, "1.2.3-"+strings.Repeat("a", 300))
	var out struct {
		Versions    [][2]string `json:"versions"`
		Sorted      []string    `json:"sorted"`
		Constraints []result    `json:"constraints"`
	}
	var parsed []*semver.Version
	for _, text := range versions {
		v, err := semver.NewVersion(text)
		if err != nil {
			out.Versions = append(out.Versions, [2]string{text, "error: " + err.Error()})
			continue
		}
		out.Versions = append(out.Versions, [2]string{text, v.String()})
		parsed = append(parsed, v)
	}
	order := append([]*semver.Version{}, parsed...)
	sort.Stable(semver.Collection(order))
	for _, v := range order {
		out.Sorted = append(out.Sorted, v.Original())
	}
	for _, text := range constraints {
		c, err := semver.NewConstraint(text)
		if err != nil {
			out.Constraints = append(out.Constraints, result{Constraint: text, Error: err.Error()})
			continue
		}
		var bits strings.Builder
		for _, v := range parsed {
			if c.Check(v) {
				bits.WriteByte('1')
			} else {
				bits.WriteByte('0')
			}
		}
		out.Constraints = append(out.Constraints, result{Constraint: text, Matches: bits.String()})
	}
	text, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(text))
}
