"""Writes seeded random and mutated texts for the oracle to record and the reader to be compared with.

    python3 mutate.py SEED COUNT DIR
    go run . record DIR
    BORAX_YAML_CASES=DIR cargo test -p borax-yaml -- --ignored
"""
import glob
import os
import random
import sys

seed=int(sys.argv[1]); n=int(sys.argv[2]); out=sys.argv[3]
r=random.Random(seed)
src=[open(f,'rb').read() for f in sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../crates/yaml/tests/cases/*/*.yaml')))]
src=[s for s in src if len(s)<1500]
toks=[b' ',b'  ',b'\n',b'\n\n',b'\n  ',b'\n    ',b'\n- ',b'- ',b': ',b':',b'? ',b'[',b']',b'{',b'}',b', ',b',',b'#',b' # c',b'\n# c\n',b'\n  # d\n',b'&a ',b'*a',b'!!str ',b'!x ',b'|\n',b'>-\n',b'|+\n',b"'",b'"',b'\t',b'\r\n',b'---\n',b'...\n',b'<<: ',b'a',b'b: c',b'1',b'true',b'~',b'\\n',b'\xc3\xa9',b'\xf0\x9f\x98\x80',b'\xc2\x85',b'\xe2\x80\xa8',b'x'*80+b' y',b'%',b'@',b'0',b'.',b'_',b'e',b'+',b'yes']
os.makedirs(out,exist_ok=True)
def gen(depth,ind):
    k=r.random()
    if depth>4 or k<0.35:
        return r.choice([b'a',b'1',b'yes',b'"q q"',b"'s'",b'~',b'',b'*a',b'&a x',b'!!str 1',b'|\n'+b' '*(ind+1)+b't\n'+b' '*(ind+1)+b'u',b'>\n'+b' '*(ind+1)+b't\n\n'+b' '*(ind+2)+b'u',b'a b c',b'[1, 2]',b'{a: b}',b'[]',b'{}',b'1.50',b'2001-01-01',b'0x1f'])+r.choice([b'',b'',b'',b' # l',b'  '])
    if k<0.65:
        s=b''
        for i in range(r.randint(1,4)):
            s+=r.choice([b'\n',b'\n',b'\n\n',b'\n'+b' '*ind+b'# h\n',b'\n\n'+b' '*ind+b'# h\n\n',b' # l\n'])+b' '*ind+r.choice([b'a',b'b',b'c',b'k%d'%i,b'"q"',b'1',b'<<',b'? x'])+b': '+gen(depth+1,ind+r.choice([0,2,2,2,4]))
        return s
    if k<0.9:
        s=b''
        for i in range(r.randint(1,4)):
            s+=r.choice([b'\n',b'\n',b'\n\n',b'\n'+b' '*ind+b'# h\n'])+b' '*ind+b'- '+gen(depth+1,ind+2)
        return s
    s=b'{' if r.random()<.5 else b'['
    for i in range(r.randint(0,4)):
        s+=r.choice([b'a',b'k: v',b'[x]',b'{y: z}',b'"q": 1',b'? z',b'\n'+b' '*(ind+1)+b'n',b' # c\n'+b' '*(ind+1)+b'm'])+r.choice([b', ',b',',b' # c\n'+b' '*(ind+1)+b', ',b', # c\n'+b' '*(ind+1)])
    return s+(b'}' if s[:1]==b'{' else b']')
for i in range(n):
    if r.random()<0.35:
        t=gen(0,0).lstrip(b'\n')+b'\n'
    else: t=r.choice(src)
    for _ in range(r.choice([0,1,1,1,2,3])):
        k=r.random(); p=r.randint(0,len(t))
        if k<0.5: t=t[:p]+r.choice(toks)+t[p:]
        elif k<0.7: q=min(len(t),p+r.randint(1,4)); t=t[:p]+t[q:]
        elif k<0.85:
            o=r.choice(src); a=r.randint(0,len(o)); b=min(len(o),a+r.randint(1,30)); t=t[:p]+o[a:b]+t[p:]
        else:
            q=min(len(t),p+r.randint(1,20)); t=t[:q]+t[p:q]+t[q:]
    open(f'{out}/m{i:06d}.yaml','wb').write(t[:4000])
